/**
 * The document as fields. Every edit is a change of the text at one place, so
 * that number formats, order and whatever the form cannot show stay as they are.
 */
import { Button } from "@mantine/core";
import { applyEdits, modify, type JSONPath } from "jsonc-parser";
import { useImperativeHandle, useMemo, useRef, useState, type Ref } from "react";
import { Notice } from "../components/basics";
import type { Issue } from "../lib/ijson";
import { isObject, tryParse, type Json } from "../lib/json";
import { pointerAt } from "../lib/places";
import { Field, type FormContext } from "./Field";
import { resolve } from "./schema";

/** More fields than this would make the page slow, and nobody fills them in by hand. */
const MOST_FIELDS = 600;

function countFields(value: Json): number {
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + countFields(each), 1);
  if (isObject(value)) return Object.values(value).reduce<number>((sum, each) => sum + countFields(each), 1);
  return 1;
}

const FORMAT = { formattingOptions: { insertSpaces: true, tabSize: 2, eol: "\n" } };

export function editAt(text: string, path: JSONPath, value: Json | undefined): string {
  return applyEdits(text, modify(text, path, value, FORMAT));
}

type Removal = { before: string; after: string; label: string };

/** Goes to the field of a pointer; false: there is none. */
export type FormHandle = { jump: (pointer: string) => boolean };

/** A group takes the focus only when it is led to: not by a click beside its fields. */
function focusableOnce(group: HTMLElement): void {
  group.tabIndex = -1;
  group.addEventListener("blur", () => group.removeAttribute("tabindex"), { once: true });
}

export function FormView({
  text,
  schema,
  issues,
  readOnly,
  refuse,
  onChange,
  onShowText,
  ref,
}: {
  text: string;
  schema: Json | null;
  issues: readonly Issue[];
  readOnly: boolean;
  refuse: FormContext["refuse"];
  onChange: (text: string) => void;
  onShowText: () => void;
  ref?: Ref<FormHandle>;
}) {
  const form = useRef<HTMLDivElement>(null);
  useImperativeHandle(ref, () => ({
    jump: (pointer) => {
      const selector = `[data-pointer="${CSS.escape(pointer)}"]`;
      const field = form.current?.matches(selector) ? form.current : form.current?.querySelector<HTMLElement>(selector);
      if (!field) return false;
      if (field.matches("div, fieldset")) focusableOnce(field);
      field.scrollIntoView({ block: "center" });
      field.focus({ preventScroll: true });
      return true;
    },
  }));

  // A group goes with one click, and the form has no history of its own.
  const [removal, setRemoval] = useState<Removal | null>(null);
  const parsed = useMemo(() => tryParse(text), [text]);
  const messages = useMemo(() => {
    const byPointer = new Map<string, string[]>();
    for (const issue of issues) {
      const pointer = pointerAt(text, issue.from);
      byPointer.set(pointer, [...(byPointer.get(pointer) ?? []), issue.message]);
    }
    return byPointer;
  }, [issues, text]);

  if (!parsed) {
    return (
      <div className="form">
        <Notice tone="warn" boxed>
          The text is not JSON at the moment, or has a name twice, so it cannot be shown as fields.{" "}
          <button type="button" className="link" onClick={onShowText}>
            Go to the text
          </button>
        </Notice>
      </div>
    );
  }
  if (countFields(parsed.value) > MOST_FIELDS) {
    return (
      <div className="form">
        <Notice tone="info" boxed>
          This document has more than {MOST_FIELDS} fields; a form of them would be slow.{" "}
          <button type="button" className="link" onClick={onShowText}>
            Edit it as text
          </button>
        </Notice>
      </div>
    );
  }
  const context: FormContext = {
    root: schema ?? {},
    messages,
    readOnly,
    refuse,
    set: (path, value) => onChange(editAt(text, path, value)),
    remove: (path, label) => {
      const after = editAt(text, path, undefined);
      setRemoval({ before: text, after, label });
      onChange(after);
    },
  };
  return (
    <div ref={form} className="form" role="group" aria-label="The document as a form" data-pointer="">
      {!schema && (
        <p className="muted" style={{ margin: 0 }}>
          No schema is bound: the fields are those that the document has.
        </p>
      )}
      <Field context={context} path={[]} label="Document" schema={resolve(context.root, schema ?? undefined)} value={parsed.value} required top />
      {parsed.value === null && !readOnly && (
        <Button variant="default" onClick={() => onChange("{}")}>
          Begin with an object
        </Button>
      )}
      {/* With another change it would take that one back, too. */}
      {removal !== null && removal.after === text && (
        <div className="form-undo" role="status">
          <span className="break">{removal.label} is removed.</span>
          {/* The button that removed it took the focus along. */}
          <Button
            key={removal.after}
            autoFocus
            size="compact-xs"
            variant="default"
            onClick={() => {
              onChange(removal.before);
              if (form.current) focusableOnce(form.current);
              form.current?.focus({ preventScroll: true });
            }}
          >
            Undo
          </Button>
        </div>
      )}
    </div>
  );
}
