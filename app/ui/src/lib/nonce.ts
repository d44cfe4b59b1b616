/**
 * The page's CSP nonce, written into index.html by the server at each serve.
 * Everything that makes a style element (Mantine, CodeMirror, the scroll lock
 * of dialogs) signs it with this.
 */
import { setNonce } from "get-nonce";

export const nonce =
  document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";

setNonce(nonce);
