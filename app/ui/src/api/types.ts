import type { Json } from "../lib/json";
import type { Violation } from "./problem";

export type RoleLevel = "viewer" | "editor" | "admin" | "owner";
export type User = {
  id: string;
  email: string;
  is_superuser: boolean;
  created_at?: string;
  disabled?: boolean;
};
export type Project = {
  id: string;
  name: string;
  owner_user_id: string;
  owner_email?: string | null;
  /** The caller's own. */
  role?: RoleLevel | "superuser" | null;
  created_at?: string;
  api_key?: string;
};
export type Role = { user_id: string; email?: string; role_level: "viewer" | "editor" | "admin" };
export type NamedKey = {
  id: string;
  name: string;
  role_level: "viewer" | "editor";
  prefix?: string | null;
  expires_at?: string | null;
  last_used_at?: string | null;
  created_at?: string;
  api_key?: string;
};
export type Schema = {
  id: string;
  name: string;
  schema: Json;
  version: number;
  project_id?: string | null;
  created_by_user_id?: string | null;
  updated_at?: string;
  created_at?: string;
};
export type Config = {
  project_id: string;
  key: string;
  version: number;
  content: Json;
  schema_id: string | null;
  schema_version: number | null;
  updated_by_user_id: string | null;
  updated_by_email?: string | null;
  updated_at: string;
  position: number;
  deleted?: boolean;
};
export type Revision = {
  key?: string;
  config_key?: string;
  version: number;
  event: string;
  created_by_user_id: string | null;
  created_by_email: string | null;
  created_by_key_name?: string | null;
  created_at: string;
  comment: string | null;
  position: number;
  change_id: string;
  hash: string;
  content?: Json;
  schema_id?: string | null;
  schema_version?: number | null;
};
export type ChainVerdict = {
  intact: boolean;
  revisions: number;
  head_hash: string | null;
  head_position: number | null;
  first_bad?: Json;
};
export type Validation = { valid: boolean; errors: Violation[] };
export type Broken = { project_id: string; key: string; errors: Violation[] };
export type ChangeOp = {
  op: "put" | "delete";
  key: string;
  version: number;
};
export type Cluster = {
  raft: {
    leader: string | null;
    term: number | null;
    members: { name: string; online: boolean; current: boolean; lag: number }[];
    last_position?: number;
    reason?: string;
  };
  projector: {
    active: boolean | null;
    applied_position: number | null;
    lag: number | null;
    halted?: { reason: string; detail: string; position: number; halted_at: string } | null;
  };
  read_model: { position: number };
};
export type WatchChange = {
  key: string;
  version: number;
  deleted: boolean;
  content: Json;
  schema_id?: string | null;
  schema_version?: number | null;
  updated_at?: string;
  updated_by_user_id?: string | null;
  updated_by_email?: string | null;
};
