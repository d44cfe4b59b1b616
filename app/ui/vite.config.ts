import { defineConfig } from "vite";
import react from "@vitejs/plugin-react";

// The page is served under a strict CSP: every file is fetched from our own
// origin, so nothing may be inlined as a data: address.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../static",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: "es2022",
    manifest: true,
    chunkSizeWarningLimit: 900,
  },
  // A worker fetches what only some documents need when it is needed, as the page does.
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/healthz", "/readyz", "/openapi.json", "/docs"].map((path) => [
        path,
        process.env.GUARDIAN_URL ?? "http://127.0.0.1:8080",
      ]),
    ),
  },
});
