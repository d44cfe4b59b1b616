import { ActionIcon, Button, Select, Switch, Textarea, TextInput } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useEffect, useState, type ReactNode } from "react";
import { hasHidden, withCodes } from "../lib/hidden";
import { formatJson, isObject, parseJson, pointerOf, tryParse, type Json, type JsonObject } from "../lib/json";
import { AddField } from "./AddField";
import { asList, asObject, kindOfSchema, kindOfValue, resolve, starter, text as asText } from "./schema";

export type Path = (string | number)[];
export type FormContext = {
  root: Json;
  messages: ReadonlyMap<string, string[]>;
  readOnly: boolean;
  /** Why what a field shows is not in the document; null: it is, or the field is gone. */
  refuse: (pointer: string, why: string | null) => void;
  set: (path: Path, value: Json | undefined) => void;
  remove: (path: Path, label: string) => void;
};
export type FieldProps = {
  context: FormContext;
  path: Path;
  label: string;
  schema: JsonObject;
  value: Json | undefined;
  required: boolean;
  top?: boolean;
};

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** One value. What is there decides how it is shown; the schema only when nothing is there. */
export function Field(props: FieldProps) {
  const { context, path, schema, value } = props;
  const choices = asList(schema.enum);
  const kind = kindOfValue(value) ?? kindOfSchema(schema);
  // A control that is switched off is too pale to be read.
  if (context.readOnly && (choices.length > 0 || kind === "boolean")) return <Plain {...props} />;
  if (choices.length > 0) return <Choice {...props} choices={choices} />;
  const expected = kindOfSchema(schema);
  switch (kind) {
    case "object":
      return isObject(value) ? <ObjectField {...props} value={value} /> : <JsonField {...props} />;
    case "array":
      return Array.isArray(value) ? <ListField {...props} value={value} /> : <JsonField {...props} />;
    case "string":
      return <TextField {...props} text={typeof value === "string" ? value : ""} />;
    case "number":
    case "integer":
      return (
        <Line
          {...props}
          numeric
          shown={value === undefined ? "" : JSON.stringify(value)}
          onText={(text) => context.set(path, parseJson(text))}
          refuse={(text) => (NUMBER.test(text) ? null : "A number is needed")}
        />
      );
    case "boolean":
      return (
        <Removable {...props}>
          <Switch
            label={props.label}
            description={asText(schema.description)}
            checked={value === true}
            error={messagesOf(props)}
            {...placeOf(props)}
            onChange={(event) => context.set(path, event.currentTarget.checked)}
          />
        </Removable>
      );
    default:
      return value === null && expected !== "any" && expected !== "null" && !context.readOnly ? (
        <Removable {...props}>
          <div className="row">
            <span>
              {props.label}: <code>null</code>
            </span>
            <Button size="compact-xs" variant="default" {...placeOf(props)} onClick={() => context.set(path, starter(context.root, { ...schema, default: undefined as never }))}>
              Give it a value
            </Button>
          </div>
        </Removable>
      ) : (
        <JsonField {...props} />
      );
  }
}

function messagesOf({ context, path }: FieldProps): string | undefined {
  return context.messages.get(pointerOf(path))?.join("\n");
}

/** By this a problem finds its field. */
function placeOf({ path }: FieldProps): { "data-pointer": string } {
  return { "data-pointer": pointerOf(path) };
}

/** The document keeps its old value while a field holds what is none: that must not be committed for it. */
function useRefusal({ context: { refuse }, path }: FieldProps, why: string | null): void {
  const pointer = pointerOf(path);
  useEffect(() => {
    if (why === null) return;
    refuse(pointer, why);
    return () => refuse(pointer, null);
  }, [refuse, pointer, why]);
}

function Remove({ context, path, label, required, top }: FieldProps) {
  if (context.readOnly || top || required) return null;
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={`Remove ${label}`} onClick={() => context.remove(path, label)}>
      <IconTrash size={15} />
    </ActionIcon>
  );
}

function Removable({ children, ...props }: FieldProps & { children: ReactNode }) {
  return (
    <div className="row" style={{ alignItems: "flex-end" }}>
      <div className="grow">{children}</div>
      <Remove {...props} />
    </div>
  );
}

/** What removes a group stands at its name: below, it would look like a part of the last field. */
function Group({ children, count, ...props }: FieldProps & { children: ReactNode; count?: number }) {
  return (
    <fieldset aria-label={props.label} {...placeOf(props)}>
      <div className="row group-head">
        <span className="break">
          {props.label} {count !== undefined && <span className="muted">({count})</span>}
        </span>
        <Remove {...props} />
      </div>
      {children}
    </fieldset>
  );
}

/** A field would not show, and a browser's would drop (a carriage return), what JSON writes as codes. */
function TextField({ text, ...props }: FieldProps & { text: string }) {
  const { context, path } = props;
  // As it was at first: a field that is typed in must not become another one.
  const [coded] = useState(() => hasHidden(text));
  if (coded) return <JsonField {...props} />;
  return (
    <Line
      {...props}
      shown={text}
      onText={(next) => context.set(path, next)}
      hint={
        hasHidden(text)
          ? "It holds characters that are not seen; the JSON view shows them."
          : kindOfSchema(props.schema) === "any" && (NUMBER.test(text) || /^(true|false|null)$/.test(text))
            ? `This is text, in quotes: "${text}"`
            : undefined
      }
    />
  );
}

function Line({
  shown,
  onText,
  refuse = () => null,
  numeric = false,
  hint,
  ...props
}: FieldProps & {
  shown: string;
  hint?: string;
  onText: (text: string) => void;
  refuse?: (text: string) => string | null;
  numeric?: boolean;
}) {
  const [typed, setTyped] = useState(shown);
  useEffect(() => setTyped(shown), [shown]);
  const refused = typed === shown ? null : refuse(typed);
  useRefusal(props, refused);
  const common = {
    label: props.label,
    description: [asText(props.schema.description), hint].filter(Boolean).join(" ") || undefined,
    withAsterisk: props.required && !props.top,
    value: typed,
    dir: "auto",
    readOnly: props.context.readOnly,
    error: refused ?? messagesOf(props),
    ...placeOf(props),
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget;
      setTyped(value);
      if (refuse(value) === null) onText(value);
    },
  };
  const long = typed.includes("\n") || typed.length > 90;
  return (
    <Removable {...props}>
      {long ? (
        <Textarea {...common} autosize minRows={2} maxRows={12} />
      ) : (
        <TextInput {...common} inputMode={numeric ? "decimal" : undefined} styles={numeric ? { wrapper: { maxWidth: 220 } } : undefined} />
      )}
    </Removable>
  );
}

function nameOf(value: Json): string {
  return withCodes(typeof value === "string" ? value : JSON.stringify(value));
}

function Plain({ schema, value, label, ...props }: FieldProps) {
  const description = asText(schema.description);
  return <TextInput label={label} description={description} value={value === undefined ? "" : nameOf(value)} readOnly {...placeOf({ schema, value, label, ...props })} />;
}

function Choice({ choices, ...props }: FieldProps & { choices: Json[] }) {
  const current = props.value === undefined ? null : JSON.stringify(props.value);
  // A schema may name one twice.
  const data = [...new Map(choices.map((each) => [JSON.stringify(each), nameOf(each)]))].map(([value, label]) => ({ value, label }));
  if (current !== null && !data.some((each) => each.value === current)) {
    data.push({ value: current, label: `${nameOf(props.value as Json)} (not allowed)` });
  }
  return (
    <Removable {...props}>
      <Select
        label={props.label}
        description={asText(props.schema.description)}
        withAsterisk={props.required && !props.top}
        data={data}
        value={current}
        allowDeselect={false}
        searchable={data.length > 8}
        error={messagesOf(props)}
        {...placeOf(props)}
        onChange={(value) => value !== null && props.context.set(props.path, parseJson(value))}
      />
    </Removable>
  );
}

function JsonField(props: FieldProps) {
  const shown = props.value === undefined ? "" : formatJson(props.value);
  const [typed, setTyped] = useState(shown);
  useEffect(() => setTyped(shown), [shown]);
  const refused = typed === shown || tryParse(typed) ? null : "Not JSON yet";
  useRefusal(props, refused);
  return (
    <Removable {...props}>
      <Textarea
        label={props.label}
        description={asText(props.schema.description) ?? "Any JSON"}
        value={typed}
        readOnly={props.context.readOnly}
        error={refused ?? messagesOf(props)}
        {...placeOf(props)}
        autosize
        minRows={1}
        maxRows={12}
        styles={{ input: { fontFamily: "var(--g-mono)" } }}
        onChange={(event) => {
          const { value } = event.currentTarget;
          setTyped(value);
          const next = tryParse(value);
          if (next) props.context.set(props.path, next.value);
        }}
      />
    </Removable>
  );
}

function ObjectField({ value, ...props }: FieldProps & { value: JsonObject }) {
  const { context, path, schema, top } = props;
  const known = asObject(schema.properties);
  const required = new Set(asList(schema.required));
  const present = Object.keys(value);
  // As the text has them; what it lacks stands at the end, where it is put when it is filled in.
  const names = [...present, ...Object.keys(known).filter((name) => !present.includes(name) && required.has(name))];
  const absent = Object.keys(known).filter((name) => !present.includes(name) && !required.has(name));
  const rest = schema.additionalProperties;
  const others = resolve(context.root, isObject(rest) ? rest : undefined);
  const fields = names.map((name) => {
    const sub = Object.hasOwn(known, name) ? resolve(context.root, known[name]) : others;
    return (
      <Field
        key={name}
        context={context}
        path={[...path, name]}
        label={withCodes(asText(sub.title) ?? name)}
        schema={sub}
        value={Object.hasOwn(value, name) ? value[name] : undefined}
        required={required.has(name)}
      />
    );
  });
  const error = messagesOf({ ...props, value });
  const body = (
    <>
      {error && (
        <div role="alert" style={{ color: "var(--mantine-color-error)", whiteSpace: "pre-wrap" }}>
          {error}
        </div>
      )}
      {fields}
      {!context.readOnly && (
        <AddField
          absent={absent}
          free={rest !== false}
          ofKind={kindOfSchema(others) === "any"}
          taken={present}
          onAdd={(name, begin) =>
            context.set([...path, name], begin ?? starter(context.root, Object.hasOwn(known, name) ? resolve(context.root, known[name]) : others))
          }
        />
      )}
    </>
  );
  if (top) return body;
  return (
    <Group {...props} value={value}>
      {body}
    </Group>
  );
}

function ListField({ value, ...props }: FieldProps & { value: Json[] }) {
  const { context, path, schema } = props;
  const items = resolve(context.root, Array.isArray(schema.items) ? undefined : schema.items);
  const error = messagesOf({ ...props, value });
  return (
    <Group {...props} value={value} count={value.length}>
      {error && <div style={{ color: "var(--mantine-color-error)" }}>{error}</div>}
      {value.map((item, index) => (
        <Field key={index} context={context} path={[...path, index]} label={`${props.label} ${index + 1}`} schema={items} value={item} required={false} />
      ))}
      {!context.readOnly && (
        <Button
          style={{ alignSelf: "flex-start" }}
          size="compact-xs"
          variant="default"
          leftSection={<IconPlus size={12} />}
          onClick={() => context.set([...path, value.length], Object.keys(items).length > 0 ? starter(context.root, items) : (value.at(-1) ?? ""))}
        >
          Add to {props.label}
        </Button>
      )}
    </Group>
  );
}
