import {
  createTheme,
  type CSSVariablesResolver,
  type MantineColorsTuple,
} from "@mantine/core";

/** The one accent: a deep teal that holds AA on white and, lightened, on ink. */
const accent: MantineColorsTuple = [
  "#e6f8fb", "#cdeef4", "#9fdde8", "#6ccadb", "#43b5ca",
  "#1f9cb3", "#117f95", "#0e7083", "#0b5a6a", "#084652",
];
const red: MantineColorsTuple = [
  "#fdeae8", "#fad0cc", "#f5a59e", "#ee7a70", "#e0564b",
  "#d33d32", "#c22f26", "#b3261e", "#962018", "#7a1913",
];
const ink: MantineColorsTuple = [
  "#e4e7ea", "#c6cbd1", "#a3abb5", "#78828e", "#4a535e",
  "#353d47", "#262d35", "#1b2129", "#14191f", "#0e1217",
];

export const theme = createTheme({
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  colors: { accent, red, dark: ink },
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  spacing: { xs: "0.5rem", sm: "0.75rem", md: "1rem", lg: "1.5rem", xl: "2rem" },
  headings: { fontWeight: "600", sizes: { h1: { fontSize: "1.25rem", lineHeight: "1.4" }, h2: { fontSize: "1rem", lineHeight: "1.4" }, h3: { fontSize: "0.875rem", lineHeight: "1.4" } } },
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    // A dialog is no page: its head is not a second banner.
    ModalRoot: { defaultProps: { styles: { title: { fontWeight: 600, overflowWrap: "anywhere" } }, attributes: { header: { role: "presentation" } }, transitionProps: { duration: 120, transition: "fade-down" } } },
    ModalOverlay: { defaultProps: { backgroundOpacity: 0.45 } },
    Tooltip: { defaultProps: { openDelay: 300, transitionProps: { duration: 80 }, events: { hover: true, focus: true, touch: false } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close the message" } } },
    Menu: { defaultProps: { transitionProps: { duration: 80 } } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1a2027",
    "--mantine-color-dimmed": "#59636e",
    "--mantine-color-placeholder": "#6b7580",
    "--mantine-color-error": "#b3261e",
    "--mantine-color-anchor": "#0b6577",
    "--mantine-color-default-border": "#c9d0d7",
  },
  dark: {
    "--mantine-color-body": "#12161b",
    "--mantine-color-text": "#e4e7ea",
    "--mantine-color-dimmed": "#a3abb5",
    "--mantine-color-placeholder": "#8f98a3",
    "--mantine-color-error": "#ff9b94",
    "--mantine-color-anchor": "#6ccadb",
    "--mantine-color-default-border": "#39424c",
  },
});
