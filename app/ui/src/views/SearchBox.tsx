import { Combobox, TextInput, useCombobox } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useCallback, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { useConfigs, useProjects } from "../api/queries";
import { Marked } from "../components/Marked";
import { useHotkeys } from "../lib/hotkeys";
import { withMoment } from "../lib/moment";
import { search } from "../lib/search";

const LIMIT = 30;

/** In a project: its keys and content. Elsewhere: the projects. */
export function SearchBox({ project }: { project: string | null }) {
  return project === null ? <ProjectSearch /> : <ConfigSearch project={project} />;
}

type Found = { value: string; label: string; excerpt: string };
type Find = (words: string) => Found[];

function ConfigSearch({ project }: { project: string }) {
  const [address] = useSearchParams();
  const at = address.get("at");
  const { data, isError } = useConfigs(project, at);
  const find = useCallback<Find>(
    (words) =>
      search(data?.items ?? [], words, LIMIT).map((hit) => ({
        value: withMoment(`/p/${project}/configs/${hit.config.key}`, at),
        label: hit.config.key,
        excerpt: hit.excerpt,
      })),
    [data, project, at],
  );
  return <Box name="Search keys and content" find={find} loaded={data?.complete === true} failed={isError} />;
}

function ProjectSearch() {
  const { data, isError } = useProjects();
  const find = useCallback<Find>(
    (words) => {
      const wanted = words.trim().toLowerCase();
      return (data ?? [])
        .filter((each) => wanted !== "" && each.name.toLowerCase().includes(wanted))
        .slice(0, LIMIT)
        .map((each) => ({ value: `/p/${each.id}/configs`, label: each.name, excerpt: "" }));
    },
    [data],
  );
  return <Box name="Search projects" find={find} loaded={data !== undefined} failed={isError} />;
}

function Box({ name, find, loaded, failed }: { name: string; find: Find; loaded: boolean; failed: boolean }) {
  const [words, setWords] = useState("");
  /** Enter was pressed before there was anything to go to. */
  const [entered, setEntered] = useState(false);
  const narrow = useMediaQuery("(max-width: 48rem)") ?? false;
  const shown = useDeferredValue(words);
  const found = useMemo(() => find(shown), [find, shown]);
  const input = useRef<HTMLInputElement>(null);
  const navigate = useNavigate();
  const box = useCombobox({ onDropdownClose: () => box.resetSelectedOption() });
  useHotkeys({
    "/": () => {
      input.current?.focus();
      input.current?.select();
    },
  });
  // Options come after the letters: only now is there a first one to select.
  const { selectFirstOption } = box;
  useEffect(() => {
    selectFirstOption();
  }, [shown, selectFirstOption]);

  const go = (to: string) => {
    box.closeDropdown();
    setEntered(false);
    setWords("");
    input.current?.blur();
    void navigate(to);
  };
  const enter = () => {
    const current = shown === words;
    const hits = current ? found : find(words);
    const hit = (current ? hits[box.getSelectedOptionIndex()] : undefined) ?? hits[0];
    // The box would take Enter as well, for an option of letters before these.
    box.resetSelectedOption();
    if (hit) go(hit.value);
    else setEntered(words.trim() !== "" && !loaded);
  };
  useEffect(() => {
    if (!entered) return;
    const [first] = find(words);
    if (first) go(first.value);
    else if (loaded) setEntered(false);
    // Asked again when more has come, not when a closure is new.
  }, [entered, find, loaded]);

  const nothing = loaded ? "Nothing found" : failed ? "What there is could not be read" : "Still loading…";
  const asked = words.trim() !== "";
  return (
    <Combobox store={box} onOptionSubmit={go} withinPortal={false}>
      {/* The focus stays in the field, so what is found has to be said. */}
      <span role="status" aria-label="Search" className="visually-hidden">
        {!asked ? "" : found.length === 0 ? nothing : `${found.length} found`}
      </span>
      <Combobox.Target withExpandedAttribute>
        <TextInput
          ref={input}
          aria-autocomplete="list"
          className="grow"
          maw={420}
          size="sm"
          aria-label={name}
          placeholder={narrow ? "Search" : name}
          leftSection={<IconSearch size={15} aria-hidden />}
          rightSection={words === "" && !narrow ? <kbd aria-hidden>/</kbd> : null}
          value={words}
          onChange={(event) => {
            setWords(event.currentTarget.value);
            setEntered(false);
            box.openDropdown();
          }}
          onBlur={() => {
            box.closeDropdown();
            setEntered(false);
          }}
          onKeyDown={(event) => {
            if (event.key === "Enter" && !event.nativeEvent.isComposing) {
              event.preventDefault();
              enter();
            } else if (event.key === "Escape") {
              setWords("");
              box.closeDropdown();
              input.current?.blur();
            }
          }}
        />
      </Combobox.Target>
      <Combobox.Dropdown hidden={!asked}>
        <Combobox.Options mah={420} style={{ overflowY: "auto" }} aria-label="Found">
          {found.length === 0 && <Combobox.Empty>{nothing}</Combobox.Empty>}
          {found.map((each) => (
            <Combobox.Option key={each.value} value={each.value} className="hit">
              <div className="mono break">
                <Marked text={each.label} words={shown} />
              </div>
              {each.excerpt !== "" && (
                <div className="mono muted ellipsis">
                  <Marked text={each.excerpt} words={shown} />
                </div>
              )}
            </Combobox.Option>
          ))}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
