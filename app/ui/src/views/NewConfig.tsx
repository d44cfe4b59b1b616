import { Button, TextInput } from "@mantine/core";
import { useState } from "react";
import { useNavigate } from "react-router";
import { useMe } from "../api/queries";
import type { Config } from "../api/types";
import { useAddress } from "../lib/address";
import { draftOf, saveDraft } from "../lib/drafts";
import { keyProblem } from "../lib/tree";
import { SchemaSelect } from "./SchemaSelect";

const BEGUN = "{\n  \n}";
const INSIDE = 4;
/** Where the editor of what is opened has the focus and the caret. */
export type Arrival = { caret?: number };

/** Only a key and a schema; the content is typed in the editor, as a draft of version 1. */
export function NewConfig({ project, configs }: { project: string; configs: readonly Config[] }) {
  const [search, address] = useAddress();
  const [key, setKey] = useState(search.get("new") ?? "");
  const [schemaId, setSchemaId] = useState<string | null>(null);
  const [touched, setTouched] = useState(false);
  const me = useMe();
  const navigate = useNavigate();
  const taken = configs.some((each) => each.key === key);
  const problem = keyProblem(key) ?? (taken ? "This key is there already; open it to change it" : null);

  const begin = () => {
    setTouched(true);
    if (problem !== null || !me.data) return;
    // One that was begun before is gone on with.
    if (!draftOf(me.data.id, project, key)) saveDraft(me.data.id, project, key, {
      op: "put",
      text: BEGUN,
      baseVersion: 0,
      schemaId,
      comment: "",
      savedAt: new Date().toISOString(),
    });
    void navigate(`/p/${project}/configs/${key}`, { state: { caret: INSIDE } satisfies Arrival });
  };

  return (
    <div className="page">
      <div className="page-head">
        <div>
          <h1>New config</h1>
          <p>Nothing is stored until you have reviewed and committed version 1.</p>
        </div>
      </div>
      <form
        className="stack"
        style={{ maxWidth: "32rem" }}
        onSubmit={(event) => {
          event.preventDefault();
          begin();
        }}
      >
        <TextInput
          label="Key"
          description="Parts separated by dots, from the general to the special"
          placeholder="payments.limits.eu"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          onBlur={() => setTouched(key !== "")}
          error={touched || taken ? problem : null}
          styles={{ input: { fontFamily: "var(--g-mono)" } }}
          autoFocus
          spellCheck={false}
          autoComplete="off"
        />
        <SchemaSelect
          project={project}
          label="Schema"
          description="Each version is checked against it before it is committed"
          placeholder="None: any JSON"
          value={schemaId}
          onChange={setSchemaId}
          clearButtonProps={{ "aria-label": "No schema" }}
        />
        <div className="row">
          <Button type="submit">Write its content</Button>
          <Button variant="default" onClick={() => address({ new: null })}>
            Cancel
          </Button>
        </div>
      </form>
    </div>
  );
}
