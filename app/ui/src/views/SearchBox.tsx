import { Combobox, TextInput, useCombobox } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useDeferredValue, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { useConfigs, useProjects } from "../api/queries";
import { Marked } from "../components/Marked";
import { useHotkeys } from "../lib/hotkeys";
import { search } from "../lib/search";

const LIMIT = 30;

/** In a project: its keys and content. Elsewhere: the projects. */
export function SearchBox({ project }: { project: string | null }) {
  return project === null ? <ProjectSearch /> : <ConfigSearch project={project} />;
}

type Found = { value: string; label: string; excerpt: string };

function ConfigSearch({ project }: { project: string }) {
  const [words, setWords] = useState("");
  const configs = useConfigs(project, null);
  const wanted = useDeferredValue(words);
  const found = useMemo<Found[]>(
    () =>
      search(configs.data?.items ?? [], wanted, LIMIT).map((hit) => ({
        value: `/p/${project}/configs/${hit.config.key}`,
        label: hit.config.key,
        excerpt: hit.excerpt,
      })),
    [configs.data, wanted, project],
  );
  return (
    <Box
      placeholder="Search keys and content"
      words={words}
      onWords={setWords}
      found={found}
      nothing={configs.data?.complete === false ? "Still loading the configs…" : "Nothing found"}
    />
  );
}

function ProjectSearch() {
  const [words, setWords] = useState("");
  const projects = useProjects();
  const wanted = words.trim().toLowerCase();
  const found = (projects.data ?? [])
    .filter((each) => wanted !== "" && each.name.toLowerCase().includes(wanted))
    .slice(0, LIMIT)
    .map((each) => ({ value: `/p/${each.id}/configs`, label: each.name, excerpt: "" }));
  return <Box placeholder="Search projects" words={words} onWords={setWords} found={found} nothing="Nothing found" />;
}

function Box({
  placeholder,
  words,
  onWords,
  found,
  nothing,
}: {
  placeholder: string;
  words: string;
  onWords: (words: string) => void;
  found: Found[];
  nothing: string;
}) {
  const input = useRef<HTMLInputElement>(null);
  const navigate = useNavigate();
  const box = useCombobox({ onDropdownClose: () => box.resetSelectedOption() });
  useHotkeys({
    "/": () => {
      input.current?.focus();
      input.current?.select();
    },
  });
  return (
    <Combobox
      store={box}
      onOptionSubmit={(to) => {
        box.closeDropdown();
        onWords("");
        input.current?.blur();
        void navigate(to);
      }}
    >
      <Combobox.Target>
        <TextInput
          ref={input}
          className="grow"
          maw={420}
          size="sm"
          aria-label={placeholder}
          placeholder={placeholder}
          leftSection={<IconSearch size={15} aria-hidden />}
          rightSection={words === "" ? <kbd aria-hidden>/</kbd> : null}
          value={words}
          onChange={(event) => {
            onWords(event.currentTarget.value);
            box.openDropdown();
            box.selectFirstOption();
          }}
          onBlur={() => box.closeDropdown()}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              onWords("");
              box.closeDropdown();
              input.current?.blur();
            }
          }}
        />
      </Combobox.Target>
      <Combobox.Dropdown hidden={words.trim() === ""}>
        <Combobox.Options mah={420} style={{ overflowY: "auto" }} aria-label="Found">
          {found.length === 0 && <Combobox.Empty>{nothing}</Combobox.Empty>}
          {found.map((each) => (
            <Combobox.Option key={each.value} value={each.value} className="hit">
              <div className="mono break">
                <Marked text={each.label} words={words} />
              </div>
              {each.excerpt !== "" && (
                <div className="mono muted ellipsis">
                  <Marked text={each.excerpt} words={words} />
                </div>
              )}
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
