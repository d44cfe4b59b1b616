import { notifications } from "@mantine/notifications";

/** Why an act that was asked for by its keys is not possible: those have no tooltip. */
export function notYet(reason: string | null): void {
  notifications.show({ id: "not-yet", message: reason, color: "gray" });
}
