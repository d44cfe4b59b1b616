/** The frame round every view: where you are, who you are, whether the service is well. */
import { ActionIcon, Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import {
  IconBrightness,
  IconKeyboard,
  IconLogout,
  IconMenu2,
  IconPassword,
} from "@tabler/icons-react";
import { Suspense, useEffect, useState } from "react";
import { Link, Outlet, useLocation, useNavigate, useSearchParams } from "react-router";
import logo from "../guardian.svg";
import { asProblem } from "../api/problem";
import { useMe, useProject } from "../api/queries";
import { Failure, Loading, Notice } from "../components/basics";
import { useAsked } from "../lib/address";
import { useFocusKept } from "../lib/focusKept";
import { useHotkeys } from "../lib/hotkeys";
import { withMoment } from "../lib/moment";
import { Connection, ServiceBanner } from "./Connection";
import { leave } from "./leave";
import { Rail } from "./Rail";
import { ShortcutList } from "./ShortcutList";
import { SearchBox } from "./SearchBox";
import { useCurrentProject, useProjectAtHand } from "./useCurrentProject";
import { useViewFocus } from "./useViewFocus";

export function Frame() {
  const me = useMe();
  const [railOpen, setRailOpen] = useState(false);
  const help = useAsked("shortcuts");
  const { pathname } = useLocation();
  const [search] = useSearchParams();
  const navigate = useNavigate();
  const project = useCurrentProject();
  const atHand = useProjectAtHand();
  useEffect(() => setRailOpen(false), [pathname]);
  useViewFocus();
  useFocusKept();

  const inProject = (view: string, at: string | null = null) => () => {
    if (atHand !== null) void navigate(withMoment(`/p/${atHand}/${view}`, at));
  };
  const at = search.get("at");
  useHotkeys({
    "?": () => help.ask(),
    "g p": () => void navigate("/projects"),
    "g l": () => void navigate("/cluster"),
    "g c": inProject("configs", at),
    "g h": inProject("history", at),
    "g s": inProject("schemas"),
    "g m": inProject("access"),
  });

  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="bar">
        <ActionIcon
          className="only-narrow"
          variant="subtle"
          color="gray"
          aria-label={railOpen ? "Close the menu" : "Open the menu"}
          aria-expanded={railOpen}
          onClick={() => setRailOpen((open) => !open)}
        >
          <IconMenu2 size={18} />
        </ActionIcon>
        <Link className="brand" to="/projects" aria-label="Config Guardian: projects">
          <img src={logo} alt="" />
          <span className="only-wide">Config Guardian</span>
        </Link>
        <SearchBox project={project} />
        <span className="end" />
        <Connection />
        <Person email={me.data?.email ?? ""} onHelp={() => help.ask()} />
      </header>
      <div className="banners">
        <ServiceBanner />
        {project !== null && <ProjectBanner project={project} />}
      </div>
      <Rail open={railOpen} project={atHand} superuser={me.data?.is_superuser === true} />
      {me.error ? (
        <main id="main" className="main">
          <div className="page">
            <Failure error={me.error} retry={() => void me.refetch()} />
          </div>
        </main>
      ) : me.data ? (
        <Suspense fallback={<Waiting />}>
          <Outlet />
        </Suspense>
      ) : (
        <Waiting />
      )}
      {help.asked !== null && <ShortcutList onClose={help.close} />}
    </div>
  );
}

/** A project that goes while somebody works in it: the work stays where it is. */
function ProjectBanner({ project }: { project: string }) {
  const { data, error } = useProject(project);
  if (!data || !error || asProblem(error).status !== 404) return null;
  return (
    <Notice tone="bad" live>
      <strong>{data.name} was deleted, or you are not a member of it any more.</strong> What is shown is how it was; nothing can be changed. What you
      typed is kept in this browser.
    </Notice>
  );
}

function Waiting() {
  return (
    <main id="main" className="main">
      <div className="page">
        <Loading />
      </div>
    </main>
  );
}

const schemes = ["light", "dark", "auto"] as const;

function Person({ email, onHelp }: { email: string; onHelp: () => void }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const navigate = useNavigate();
  const next = schemes[(schemes.indexOf(colorScheme) + 1) % schemes.length] ?? "auto";
  return (
    <Menu position="bottom-end" width={240}>
      <Menu.Target>
        <UnstyledButton className="avatar">
          <span aria-hidden>{email.slice(0, 2).toUpperCase()}</span>
          <span className="visually-hidden">Account of {email}</span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{email}</Menu.Label>
        <Menu.Item
          closeMenuOnClick={false}
          leftSection={<IconBrightness size={16} />}
          onClick={() => setColorScheme(next)}
        >
          Theme: {colorScheme} (change to {next})
        </Menu.Item>
        <Menu.Item leftSection={<IconKeyboard size={16} />} onClick={onHelp}>
          Keyboard shortcuts
        </Menu.Item>
        <Menu.Item leftSection={<IconPassword size={16} />} onClick={() => void navigate("/account")}>
          Change password
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={leave}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

