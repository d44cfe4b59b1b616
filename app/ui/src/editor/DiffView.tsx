/** Two texts side by side, or one under the other where the page is narrow. */
import { json } from "@codemirror/lang-json";
import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { SegmentedControl } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { appearance } from "./look";

const COLLAPSE = { margin: 3, minSize: 6 };
/** A diff that takes longer than this is shown less exactly rather than late. */
const DIFF = { scanLimit: 2000, timeout: 400 };
/** An empty text is shown as an empty line, which would look like one that is taken away. */
const NOTHING_BEFORE = EditorView.theme({ ".cm-deletedChunk": { display: "none" } });

export function DiffView({
  before,
  after,
  beforeLabel,
  afterLabel,
  extra,
}: {
  before: string;
  after: string;
  beforeLabel: string;
  afterLabel: string;
  extra?: ReactNode;
}) {
  const narrow = useMediaQuery("(max-width: 56rem)") ?? false;
  const [chosen, setChosen] = useState<"split" | "unified" | null>(null);
  const mode = chosen ?? (narrow ? "unified" : "split");
  const host = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!host.current) return;
    const common = (label: string) => [
      appearance,
      lineNumbers(),
      json(),
      EditorState.readOnly.of(true),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": label, "aria-readonly": "true", tabindex: "0" }),
    ];
    const view =
      mode === "split"
        ? new MergeView({
            parent: host.current,
            a: { doc: before, extensions: common(beforeLabel) },
            b: { doc: after, extensions: common(afterLabel) },
            collapseUnchanged: COLLAPSE,
            diffConfig: DIFF,
          })
        : new EditorView({
            parent: host.current,
            state: EditorState.create({
              doc: after,
              extensions: [
                common(`${afterLabel}, with what was in ${beforeLabel}`),
                unifiedMergeView({
                  original: before,
                  mergeControls: false,
                  gutter: true,
                  collapseUnchanged: COLLAPSE,
                  diffConfig: DIFF,
                }),
                before === "" ? NOTHING_BEFORE : [],
              ],
            }),
          });
    return () => view.destroy();
  }, [before, after, beforeLabel, afterLabel, mode]);

  return (
    <div className="stack" style={{ gap: "0.5rem" }}>
      <div className="row wrap">
        <span className="muted">
          <span className="badge bad">{beforeLabel}</span> → <span className="badge good">{afterLabel}</span>
        </span>
        {before === after && <strong>No difference</strong>}
        {extra}
        <SegmentedControl
          className="end"
          size="xs"
          aria-label="How the difference is shown"
          value={mode}
          onChange={(value) => setChosen(value as "split" | "unified")}
          data={[
            { value: "split", label: "Side by side" },
            { value: "unified", label: "Unified" },
          ]}
        />
      </div>
      <div ref={host} className="diff-host" data-testid="diff" tabIndex={0} role="group" aria-label={`Difference of ${beforeLabel} and ${afterLabel}`} />
    </div>
  );
}
