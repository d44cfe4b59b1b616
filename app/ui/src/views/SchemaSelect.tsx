/** Choosing a schema. Their texts may be many megabytes: the list is asked for when it is looked at. */
import { Select, type SelectProps } from "@mantine/core";
import { useState } from "react";
import { useSchema, useSchemas } from "../api/queries";

type Props = Omit<SelectProps, "data" | "value" | "onChange"> & {
  project: string;
  value: string | null;
  onChange: (schema: string | null) => void;
};

export function SchemaSelect({ project, value, ...rest }: Props) {
  const [looked, setLooked] = useState(false);
  const schemas = useSchemas(looked);
  const bound = useSchema(value).data;
  const listed = schemas.data ?? (bound ? [bound] : []);
  const usable = listed.filter((each) => !each.project_id || each.project_id === project || each.id === value);
  const missing = schemas.error ? "The others could not be loaded" : "Loading…";
  return (
    <Select
      {...rest}
      value={value}
      data={[
        ...usable.map((each) => ({ value: each.id, label: `${each.name} v${each.version}` })),
        ...(schemas.data ? [] : [{ value: "", label: missing, disabled: true }]),
      ]}
      onDropdownOpen={() => setLooked(true)}
      nothingFoundMessage={schemas.data ? "No such schema" : missing}
      clearable
      searchable
    />
  );
}
