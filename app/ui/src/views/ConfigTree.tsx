/** A project's keys as a tree. Only the rows in sight are in the page. */
import { IconChevronDown, IconChevronRight, IconPencil } from "@tabler/icons-react";
import { defaultRangeExtractor, useVirtualizer, type Range } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { Config } from "../api/types";
import { Marked } from "../components/Marked";
import { useHotkeys } from "../lib/hotkeys";
import { buildTree, flatten, parentsOf, type Row } from "../lib/tree";

const ROW_PX = 28;
/** Below this many keys everything is open at first: seeing beats clicking. */
const OPEN_ALL = 60;

export function ConfigTree({
  configs,
  filter,
  selected,
  edited,
  onOpen,
}: {
  configs: readonly Config[];
  filter: string;
  selected: string | null;
  /** Keys with an edit that is not committed. */
  edited: ReadonlySet<string>;
  onOpen: (key: string) => void;
}) {
  const wanted = filter.trim().toLowerCase();
  const versions = useMemo(() => new Map(configs.map((each) => [each.key, each.version])), [configs]);
  const nodes = useMemo(() => {
    const all = configs.map((each) => each.key);
    return buildTree(wanted === "" ? all : all.filter((key) => key.toLowerCase().includes(wanted)));
  }, [configs, wanted]);
  const [toggled, setToggled] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [cursor, setCursor] = useState<string | null>(selected);
  const openAll = configs.length <= OPEN_ALL;

  useEffect(() => {
    if (selected === null) return;
    setCursor(selected);
    setToggled((before) => {
      const next = new Map(before);
      for (const parent of parentsOf(selected)) next.set(parent, true);
      return next;
    });
  }, [selected]);

  const rows = useMemo(
    () => flatten(nodes, (path) => wanted !== "" || (toggled.get(path) ?? openAll)),
    [nodes, toggled, wanted, openAll],
  );
  const scroll = useRef<HTMLDivElement>(null);
  const at = Math.max(0, rows.findIndex((row) => row.path === cursor));
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    // The row that the tree names as its active one is there wherever it is scrolled.
    rangeExtractor: useCallback((range: Range) => [...new Set([...defaultRangeExtractor(range), at])].sort((a, b) => a - b), [at]),
  });
  const drawn = list.getVirtualItems();
  // Before the tree has a height, nothing is drawn.
  const active = drawn.some((item) => item.index === at) ? rows[at] : undefined;

  const shown = useRef<string | null>(null);
  useEffect(() => {
    // Once for each config that is opened: afterwards the tree stays where it is scrolled.
    if (shown.current === selected || rows[at]?.path !== selected || drawn.length === 0) return;
    shown.current = selected;
    list.scrollToIndex(at, { align: "auto" });
  }, [selected, rows, at, drawn.length, list]);

  const toggle = (row: Row, open: boolean) =>
    setToggled((before) => new Map(before).set(row.path, open));
  const move = (to: number) => {
    const row = rows[Math.min(Math.max(to, 0), rows.length - 1)];
    if (!row) return;
    setCursor(row.path);
    list.scrollToIndex(rows.indexOf(row), { align: "auto" });
  };
  const step = (by: 1 | -1) => {
    let next = cursor === null || rows[at]?.path !== cursor ? (by === 1 ? 0 : rows.length - 1) : at + by;
    while (rows[next] && !rows[next]?.isConfig) next += by;
    if (rows[next]) move(next);
  };
  const open = (row: Row | undefined) => {
    if (row?.isConfig) onOpen(row.path);
    else if (row) toggle(row, !row.expanded);
  };

  useHotkeys({
    j: () => {
      scroll.current?.focus();
      step(1);
    },
    k: () => {
      scroll.current?.focus();
      step(-1);
    },
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[at];
    const acts: Record<string, () => void> = {
      ArrowDown: () => move(at + 1),
      ArrowUp: () => move(at - 1),
      Home: () => move(0),
      End: () => move(rows.length - 1),
      PageDown: () => move(at + 15),
      PageUp: () => move(at - 15),
      ArrowRight: () => row && (row.expanded || row.below === 0 ? move(at + 1) : toggle(row, true)),
      ArrowLeft: () => {
        if (row?.expanded) toggle(row, false);
        else if (row) move(rows.findIndex((each) => each.path === parentsOf(row.path).at(-1)));
      },
      Enter: () => open(row),
      " ": () => open(row),
    };
    const act = acts[event.key];
    if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      act();
    }
  };

  return (
    <div
      ref={scroll}
      className="tree tree-scroll"
      role="tree"
      aria-label="Configs by key"
      tabIndex={0}
      aria-activedescendant={active && `row:${active.path}`}
      onKeyDown={onKeyDown}
    >
      <div role="presentation" style={{ height: list.getTotalSize(), position: "relative" }}>
        {drawn.map((item) => {
          const row = rows[item.index];
          if (!row) return null;
          return (
            <TreeRow
              key={row.path}
              row={row}
              top={item.start}
              selected={row.path === selected}
              cursor={item.index === at}
              version={versions.get(row.path)}
              edited={edited.has(row.path)}
              filter={wanted}
              onOpen={() => {
                setCursor(row.path);
                open(row);
              }}
              onToggle={() => toggle(row, !row.expanded)}
            />
          );
        })}
      </div>
    </div>
  );
}

function TreeRow({
  row,
  top,
  selected,
  cursor,
  version,
  edited,
  filter,
  onOpen,
  onToggle,
}: {
  row: Row;
  top: number;
  selected: boolean;
  cursor: boolean;
  version: number | undefined;
  edited: boolean;
  filter: string;
  onOpen: () => void;
  onToggle: () => void;
}) {
  const Twist = row.expanded ? IconChevronDown : IconChevronRight;
  return (
    <div
      id={`row:${row.path}`}
      className={`tree-row${cursor ? " cursor" : ""}`}
      role="treeitem"
      aria-level={row.level}
      aria-setsize={row.setSize}
      aria-posinset={row.positionInSet}
      aria-expanded={row.below > 0 ? row.expanded : undefined}
      aria-selected={selected}
      title={row.path}
      style={{ transform: `translateY(${top}px)`, paddingLeft: `min(${0.25 + (row.level - 1) * 0.875}rem, 40%)` }}
      onClick={onOpen}
    >
      <span
        className="twist"
        aria-hidden
        onClick={(event) => {
          if (row.below === 0) return;
          event.stopPropagation();
          onToggle();
        }}
      >
        {row.below > 0 && <Twist size={14} />}
      </span>
      <span className="label">
        <Marked text={row.label} words={filter} />
      </span>
      <span className="meta">
        {edited && <IconPencil size={13} aria-label="edited, not committed" />}{" "}
        {row.isConfig ? `v${version ?? ""}` : row.below}
      </span>
    </div>
  );
}
