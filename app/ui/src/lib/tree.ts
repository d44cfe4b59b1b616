/** Dotted keys as a tree, flattened to the rows that are visible. */

export type Row = {
  /** The whole dotted path of this row. */
  path: string;
  /** The last part of it. */
  label: string;
  level: number;
  isConfig: boolean;
  /** How many configs lie below. */
  below: number;
  expanded: boolean;
  positionInSet: number;
  setSize: number;
};

type Node = { path: string; label: string; isConfig: boolean; below: number; children: Node[] };

/** Keys must be sorted by their dotted parts (see `compareKeys`). */
export function buildTree(keys: readonly string[]): Node[] {
  const root: Node = { path: "", label: "", isConfig: false, below: 0, children: [] };
  for (const key of keys) {
    let node = root;
    let from = 0;
    while (from <= key.length) {
      const dot = key.indexOf(".", from);
      const end = dot === -1 ? key.length : dot;
      const label = key.slice(from, end);
      const last = node.children.at(-1);
      if (last?.label === label) {
        node = last;
      } else {
        const child: Node = { path: key.slice(0, end), label, isConfig: false, below: 0, children: [] };
        node.children.push(child);
        node = child;
      }
      if (end === key.length) node.isConfig = true;
      else node.below += 1;
      from = end + 1;
    }
  }
  return root.children;
}

/** Orders `a` < `a.b` < `a-b`: a parent stands right before what is below it. */
export function compareKeys(a: string, b: string): number {
  const left = a.replaceAll(".", "\u0001");
  const right = b.replaceAll(".", "\u0001");
  return left < right ? -1 : left > right ? 1 : 0;
}

export function flatten(nodes: readonly Node[], isExpanded: (path: string) => boolean): Row[] {
  const rows: Row[] = [];
  const walk = (siblings: readonly Node[], level: number): void => {
    siblings.forEach((node, index) => {
      const expanded = node.children.length > 0 && isExpanded(node.path);
      rows.push({
        path: node.path,
        label: node.label,
        level,
        isConfig: node.isConfig,
        below: node.below,
        expanded,
        positionInSet: index + 1,
        setSize: siblings.length,
      });
      if (expanded) walk(node.children, level + 1);
    });
  };
  walk(nodes, 1);
  return rows;
}

export function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
    parents.push(path.slice(0, dot));
  }
  return parents;
}

const KEY = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Why the text cannot be a key, or null. */
export function keyProblem(key: string): string | null {
  if (key === "") return "A key is needed, for example payments.limits.eu";
  if (key.length > 200) return `A key has at most 200 characters; this has ${key.length}`;
  if (!KEY.test(key)) return "Letters, digits, _ and - in parts that dots separate: payments.limits.eu";
  return null;
}
