import { Button } from "@mantine/core";
import { Link, useRouteError } from "react-router";
import { Empty, Failure, usePageTitle } from "../components/basics";

export function NotFound() {
  usePageTitle("Not here");
  return (
    <main id="main" className="main">
      <Empty
        heading="h1"
        title="There is nothing at this address"
        action={
          <Button component={Link} to="/projects">
            Go to the projects
          </Button>
        }
      >
        It may have been removed, or the address is not complete.
      </Empty>
    </main>
  );
}

export function ErrorPage() {
  const error = useRouteError();
  usePageTitle("Error");
  return (
    <main id="main" className="page">
      <Failure error={error} retry={() => window.location.reload()} />
    </main>
  );
}
