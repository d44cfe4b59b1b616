/** Signing out by a click: what went wrong is told where the person is. */
import { notifications } from "@mantine/notifications";
import { asProblem } from "../api/problem";
import { signOut } from "../api/session";

export function leave(): void {
  signOut().catch((reason: unknown) => {
    const problem = asProblem(reason);
    notifications.show({
      title: "You are still signed in",
      message: `${problem.title}. Try again in a moment.`,
      color: "red",
      autoClose: false,
    });
  });
}
