import { Outlet, useParams } from "react-router";
import { useLiveProject } from "../api/live";
import { useProject } from "../api/queries";
import { asProblem } from "../api/problem";
import { Empty, Failure, usePageTitle } from "../components/basics";

/** What every view of a project shares: the live connection, and the answer if it is not there. */
export function ProjectLayout() {
  const { project = "" } = useParams();
  const { data, error, refetch } = useProject(project);
  if (error && !data) {
    return (
      <main id="main" className="main">
        <div className="page">
          {asProblem(error).status === 404 ? (
            <NoProject />
          ) : (
            <Failure error={error} retry={() => void refetch()} />
          )}
        </div>
      </main>
    );
  }
  return <LiveProject key={project} project={project} />;
}

function NoProject() {
  usePageTitle("No such project");
  return (
    <Empty heading="h1" title="No such project">
      It may have been deleted, or you are not a member of it.
    </Empty>
  );
}

function LiveProject({ project }: { project: string }) {
  useLiveProject(project);
  return <Outlet />;
}
