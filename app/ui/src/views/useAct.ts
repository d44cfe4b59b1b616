import { useState } from "react";
import { Act } from "../api/act";

/** The act of what is open: sent again from here, it is done once. */
export function useAct(): Act {
  return useState(() => new Act())[0];
}
