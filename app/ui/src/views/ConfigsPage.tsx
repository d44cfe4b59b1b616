/** The workbench: the tree on the left, the open config beside it. */
import { ActionIcon, Button, TextInput, Tooltip } from "@mantine/core";
import { IconFilter, IconPlus, IconX } from "@tabler/icons-react";
import { lazy, Suspense, useDeferredValue } from "react";
import { useNavigate, useParams } from "react-router";
import { useConfigs, useMe, useProject } from "../api/queries";
import { Empty, Failure, Loading, usePageTitle } from "../components/basics";
import { useAddress, useTypedAddress } from "../lib/address";
import { useEdited } from "../lib/drafts";
import { useHotkeys } from "../lib/hotkeys";
import { ConfigTree } from "./ConfigTree";
import { MomentBar } from "./MomentBar";
import { NewConfig } from "./NewConfig";
import { useAccess } from "./useCurrentProject";

// The editor is the heaviest part of the page: it comes when a config is opened.
const ConfigView = lazy(async () => ({ default: (await import("./ConfigView")).ConfigView }));

export function ConfigsPage() {
  const { project = "", key } = useParams();
  const [search, address] = useAddress();
  const at = search.get("at");
  const [filter, setFilter] = useTypedAddress("q");
  const { data: detail } = useProject(project);
  const navigate = useNavigate();
  const me = useMe();
  const access = useAccess(project);
  const list = useConfigs(project, at);
  const edited = useEdited(me.data?.id ?? "", project);
  const shown = useDeferredValue(filter);
  const canMake = access.canEdit && at === null;
  // An address may be shared with somebody who may only read.
  const making = search.has("new") && (canMake || !access.known);
  usePageTitle(making ? "New config" : (key ?? "Configs"), detail?.name);

  useHotkeys({ n: () => canMake && address({ new: "" }) });

  const open = (opened: string) => {
    const kept = new URLSearchParams();
    if (filter !== "") kept.set("q", filter);
    for (const param of ["at", "side"]) {
      const value = search.get(param);
      if (value !== null) kept.set(param, value);
    }
    void navigate({ pathname: `/p/${project}/configs/${opened}`, search: kept.toString() });
  };

  const count = list.data?.items.length ?? 0;
  const empty = list.data?.complete === true && count === 0;
  return (
    <main id="main" className="main fixed">
      {!key && !making && <h1 className="visually-hidden">Configs</h1>}
      <MomentBar project={project} />
      <div className={`workbench${key || making || empty ? " has-doc" : ""}${key && search.get("side") ? " with-side" : ""}`}>
        <div className="tree-pane">
          <div className="tree-tools">
            <div className="row">
              <TextInput
                className="grow"
                size="xs"
                aria-label="Filter keys"
                placeholder="Filter keys"
                leftSection={<IconFilter size={14} aria-hidden />}
                value={filter}
                onChange={(event) => setFilter(event.currentTarget.value)}
                rightSection={
                  filter && (
                    <ActionIcon size="sm" variant="subtle" color="gray" aria-label="Clear the filter" onClick={() => setFilter("")}>
                      <IconX size={13} />
                    </ActionIcon>
                  )
                }
              />
              {canMake && (
                <Tooltip label="New config (n)">
                  <ActionIcon variant="default" size="md" aria-label="New config" onClick={() => address({ new: "" })}>
                    <IconPlus size={16} />
                  </ActionIcon>
                </Tooltip>
              )}
            </div>
          </div>
          {list.error && (
            <div className="tree-tools">
              <Failure error={list.error} retry={() => void list.refetch()} />
            </div>
          )}
          {list.isPending && (
            <div className="tree-tools">
              <Loading rows={8} label="Loading the configs" />
            </div>
          )}
          {list.data && (
            <>
              <ConfigTree
                configs={list.data.items}
                filter={shown}
                selected={key ?? null}
                edited={edited}
                onOpen={open}
              />
              <div className="tree-foot" role="status">
                {count === 1 ? "1 config" : `${count.toLocaleString()} configs`}
                {!list.data.complete && ", loading more…"}
              </div>
            </>
          )}
        </div>
        {making ? (
          <div className="doc-pane">
            <NewConfig project={project} configs={list.data?.items ?? []} />
          </div>
        ) : key ? (
          <Suspense fallback={<div className="page"><Loading rows={8} label="Loading the editor" /></div>}>
            <ConfigView key={`${project}/${key}`} project={project} configKey={key} />
          </Suspense>
        ) : (
          <div className="doc-pane">
            <NothingOpen
              empty={empty}
              canMake={canMake}
              past={at !== null}
              onMake={() => address({ new: "" })}
            />
          </div>
        )}
      </div>
    </main>
  );
}

function NothingOpen({
  empty,
  canMake,
  past,
  onMake,
}: {
  empty: boolean;
  canMake: boolean;
  past: boolean;
  onMake: () => void;
}) {
  if (!empty) {
    return (
      <Empty title="No config is open">
        Choose one in the tree. <kbd>j</kbd> and <kbd>k</kbd> move, <kbd>Enter</kbd> opens, <kbd>/</kbd> searches in
        keys and content.
      </Empty>
    );
  }
  if (past) return <Empty title="The project was empty at this moment" />;
  return (
    <Empty
      title="No configs yet"
      action={canMake ? <Button onClick={onMake}>Make the first config</Button> : undefined}
    >
      A config is a JSON document under a dotted key, such as <code>payments.limits.eu</code>.
      {!canMake && " Your role lets you read; an editor can add one."}
    </Empty>
  );
}
