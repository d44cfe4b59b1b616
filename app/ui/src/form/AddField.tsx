import { Button, Select, TextInput } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useState } from "react";
import type { Json } from "../lib/json";

/** What a field that no schema knows may begin as. */
const KINDS: { value: string; label: string; starter: Json }[] = [
  { value: "text", label: "Text", starter: "" },
  { value: "number", label: "Number", starter: 0 },
  { value: "boolean", label: "Yes or no", starter: false },
  { value: "group", label: "Group", starter: {} },
  { value: "list", label: "List", starter: [] },
];

export function AddField({
  absent,
  free,
  ofKind,
  taken,
  onAdd,
}: {
  absent: string[];
  free: boolean;
  /** No schema says what a new one is. */
  ofKind: boolean;
  taken: string[];
  onAdd: (name: string, begin?: Json) => void;
}) {
  const [name, setName] = useState("");
  const [kind, setKind] = useState(KINDS[0]);
  return (
    <div className="row wrap">
      {absent.map((each) => (
        <Button key={each} size="compact-xs" variant="default" leftSection={<IconPlus size={12} />} onClick={() => onAdd(each)}>
          {each}
        </Button>
      ))}
      {free && (
        <div className="row wrap">
          <TextInput size="xs" aria-label="Name of a new field" placeholder="new field" value={name} onChange={(event) => setName(event.currentTarget.value)} w={140} />
          {ofKind && (
            <Select
              size="xs"
              w={110}
              aria-label="Kind of the new field"
              data={KINDS.map(({ value, label }) => ({ value, label }))}
              value={kind?.value ?? null}
              allowDeselect={false}
              onChange={(value) => setKind(KINDS.find((each) => each.value === value))}
            />
          )}
          <Button
            size="compact-xs"
            variant="default"
            disabled={name === "" || taken.includes(name)}
            onClick={() => {
              onAdd(name, ofKind && !absent.includes(name) ? kind?.starter : undefined);
              setName("");
            }}
          >
            Add field
          </Button>
        </div>
      )}
    </div>
  );
}
