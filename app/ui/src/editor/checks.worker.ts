import { check, type Ask } from "./check";

// `reportError` reaches the page as the worker's own failure.
onmessage = (event: MessageEvent<Ask>) => void check(event.data).then((found) => postMessage(found), reportError);
