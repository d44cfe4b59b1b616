import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "@fontsource-variable/inter/index.css";
import "@fontsource-variable/jetbrains-mono/index.css";
import "./styles.css";
import { nonce } from "./lib/nonce";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClientProvider } from "@tanstack/react-query";
import { createRoot } from "react-dom/client";
import { RouterProvider } from "react-router/dom";
import { client } from "./api/queries";
import { canKeepNumbers } from "./lib/json";
import { router } from "./router";
import { theme, variables } from "./theme";
import { SessionGate } from "./views/SessionGate";

function Root() {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={variables}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce}
    >
      <Notifications position="bottom-right" />
      <QueryClientProvider client={client}>
        <SessionGate>
          <RouterProvider router={router} />
        </SessionGate>
      </QueryClientProvider>
    </MantineProvider>
  );
}

const place = document.getElementById("root");
if (place === null) throw new Error("index.html has no #root");
if (canKeepNumbers) {
  createRoot(place).render(<Root />);
} else {
  place.textContent =
    "This browser would change large numbers in your configs. Please use one from 2025 or later.";
}
