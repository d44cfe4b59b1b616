/** Every state of the page has an address; this is the list of them. */
import { createBrowserRouter, Navigate, redirect } from "react-router";
import { Frame } from "./views/Frame";
import { ErrorPage, NotFound } from "./views/NotFound";
import { ProjectLayout } from "./views/ProjectLayout";
import { ProjectsPage } from "./views/ProjectsPage";
import { ConfigsPage } from "./views/ConfigsPage";

export const router = createBrowserRouter([
  {
    path: "/",
    Component: Frame,
    ErrorBoundary: ErrorPage,
    HydrateFallback: () => null,
    children: [
      { index: true, element: <Navigate to="/projects" replace /> },
      { path: "projects", Component: ProjectsPage },
      {
        path: "p/:project",
        Component: ProjectLayout,
        children: [
          { index: true, loader: ({ params }) => redirect(`/p/${params.project}/configs`) },
          // ?q= filter · ?at= moment · ?version= · ?diff=3..7 · ?side=history · ?view=form
          { path: "configs/:key?", Component: ConfigsPage },
          { path: "changes", lazy: async () => ({ Component: (await import("./views/ChangeSetPage")).ChangeSetPage }) },
          { path: "history", lazy: async () => ({ Component: (await import("./views/HistoryPage")).HistoryPage }) },
          { path: "schemas", lazy: async () => ({ Component: (await import("./views/SchemasPage")).SchemasPage }) },
          { path: "schemas/:schema", lazy: async () => ({ Component: (await import("./views/SchemaPage")).SchemaPage }) },
          { path: "access", lazy: async () => ({ Component: (await import("./views/AccessPage")).AccessPage }) },
          { path: "settings", lazy: async () => ({ Component: (await import("./views/SettingsPage")).SettingsPage }) },
        ],
      },
      { path: "cluster", lazy: async () => ({ Component: (await import("./views/ClusterPage")).ClusterPage }) },
      { path: "users", lazy: async () => ({ Component: (await import("./views/UsersPage")).UsersPage }) },
      { path: "account", lazy: async () => ({ Component: (await import("./views/AccountPage")).AccountPage }) },
      { path: "*", Component: NotFound },
    ],
  },
]);
