/** What a form needs to know of a JSON Schema. Local references only; the rest is left to the service. */
import { isObject, isRawNumber, objectOf, pointerPath, type Json, type JsonObject } from "../lib/json";

export type Kind = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null" | "any";

const DEPTH = 8;

function at(root: Json, path: readonly string[]): Json | undefined {
  let node: Json | undefined = root;
  for (const step of path) {
    if (Array.isArray(node)) node = node[Number(step)];
    else if (isObject(node)) node = Object.hasOwn(node, step) ? node[step] : undefined;
    else return undefined;
  }
  return node;
}

/** As the service reads a reference: what is no code of a character stands for itself. */
function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference);
  } catch {
    return reference;
  }
}

/** The schema with local references followed and `allOf` laid together. */
export function resolve(root: Json, schema: Json | undefined, depth = 0): JsonObject {
  if (!isObject(schema) || depth > DEPTH) return {};
  let merged: JsonObject = { ...schema };
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#")) {
    const target = at(root, pointerPath(decoded(schema.$ref)));
    merged = { ...resolve(root, target, depth + 1), ...merged };
  }
  if (Array.isArray(schema.allOf)) {
    for (const part of schema.allOf) {
      const resolved = resolve(root, part, depth + 1);
      merged = {
        ...resolved,
        ...merged,
        properties: objectOf(new Map([resolved, merged].flatMap((each) => Object.entries(asObject(each.properties))))),
        required: [...asList(resolved.required), ...asList(merged.required)],
      };
    }
  }
  return merged;
}

export const asObject = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});
export const asList = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);
export const text = (value: Json | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

export function kindOfValue(value: Json | undefined): Kind | undefined {
  if (value === undefined) return undefined;
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (isRawNumber(value)) return "number";
  if (typeof value === "object") return "object";
  return typeof value as Kind;
}

export function kindOfSchema(schema: JsonObject): Kind {
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).filter((each) => each !== "null");
  const [type] = types;
  if (types.length === 1 && typeof type === "string") return type as Kind;
  if (schema.properties !== undefined) return "object";
  if (schema.items !== undefined) return "array";
  return "any";
}

/** What a new field starts with. `around`: the schemas that it is a part of; one that requires itself would have no end. */
export function starter(root: Json, schema: JsonObject, around: readonly Json[] = []): Json {
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  const [choice] = asList(schema.enum);
  if (choice !== undefined) return choice;
  switch (kindOfSchema(schema)) {
    case "object":
      return objectOf(
        new Map(
          asList(schema.required)
            .filter((name) => typeof name === "string")
            .map((name) => {
              const part = asObject(schema.properties)[name] ?? {};
              return [name, around.includes(part) ? null : starter(root, resolve(root, part), [...around, part])];
            }),
        ),
      );
    case "array":
      return [];
    case "string":
      return "";
    case "number":
    case "integer":
      return schema.minimum ?? 0;
    case "boolean":
      return false;
    default:
      return null;
  }
}
