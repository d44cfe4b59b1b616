import { describe, expect, it } from "vitest";
import type { Project, User } from "../api/types";
import { accessOf } from "./access";

const me = { id: "me", email: "me@example.org", is_superuser: false };
const project = (role: Project["role"], owner = "somebody") => ({ id: "p", name: "p", owner_user_id: owner, role }) as Project;
const superuser: User = { ...me, is_superuser: true };

describe("what is offered to somebody in a project", () => {
  it.each([
    ["a viewer", me, project("viewer"), ""],
    ["an editor", me, project("editor"), "edit"],
    ["an admin", me, project("admin"), "edit manage"],
    ["the owner", me, project(null, "me"), "edit manage delete"],
    ["a superuser", superuser, project("superuser"), "edit manage delete"],
    ["a superuser who is a viewer", superuser, project("viewer"), "edit manage delete"],
    ["nobody", me, project(null), ""],
    ["somebody, before the project is known", me, undefined, ""],
    ["somebody, before they are known", undefined, project("viewer"), ""],
    ["somebody, before anything is known", undefined, undefined, ""],
  ])("is what the service lets them do: %s", (_, who, where, offered) => {
    const { canEdit, canManage, canDelete, known } = accessOf(who, where);
    expect([canEdit && "edit", canManage && "manage", canDelete && "delete"].filter(Boolean).join(" ")).toBe(offered);
    expect(known).toBe(who !== undefined && where !== undefined);
  });
});
