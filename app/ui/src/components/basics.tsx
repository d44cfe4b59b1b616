/** Small parts that every view is made of. */
import { Button, CopyButton, Skeleton, Tooltip } from "@mantine/core";
import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconCheck,
  IconCircleCheck,
  IconCopy,
  IconInfoCircle,
  IconRefresh,
} from "@tabler/icons-react";
import { useEffect, useId, useState, type ReactNode } from "react";
import { asProblem } from "../api/problem";
import { ago, exactTime, utcTime } from "../lib/time";

export type Tone = "good" | "warn" | "bad" | "info" | "plain";

const toneIcons = {
  good: IconCircleCheck,
  warn: IconAlertTriangle,
  bad: IconAlertOctagon,
  info: IconInfoCircle,
};

/** A status differs in shape as well as in colour. */
export function Badge({ tone = "plain", children, title }: { tone?: Tone; children: ReactNode; title?: string }) {
  // "info" marks what a thing is, not how it stands: no sign is needed.
  const Icon = tone === "plain" || tone === "info" ? null : toneIcons[tone];
  return (
    <span className={`badge ${tone}`} title={title}>
      {Icon && <Icon size={13} aria-hidden />}
      <span className="ellipsis">{children}</span>
    </span>
  );
}

export function Notice({
  tone,
  children,
  boxed = false,
  live = false,
}: {
  tone: Exclude<Tone, "plain">;
  children: ReactNode;
  boxed?: boolean;
  live?: boolean;
}) {
  const Icon = toneIcons[tone];
  return (
    <div className={`notice ${tone}${boxed ? " boxed" : ""}`} role={live ? "status" : undefined}>
      <Icon size={17} aria-hidden />
      <div className="grow break">{children}</div>
    </div>
  );
}

/** A moment: relative in the text, exact in the reader's zone and UTC on hover or focus. */
export function Time({ iso }: { iso: string }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={iso} title={`${exactTime(iso)}\n${utcTime(iso)}`}>
      {ago(iso)}
    </time>
  );
}

/** Bars in the shape of what comes; they appear only if it takes longer than 200 ms. */
export function Loading({ rows = 5, label = "Loading" }: { rows?: number; label?: string }) {
  return (
    <div className="late stack" role="status" aria-label={label}>
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} height={14} width={`${[88, 62, 74, 50, 81][index % 5]}%`} animate={false} />
      ))}
    </div>
  );
}

export function Copy({ value, label }: { value: string; label: string }) {
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Button
          variant="default"
          size="compact-xs"
          onClick={copy}
          leftSection={copied ? <IconCheck size={13} /> : <IconCopy size={13} />}
        >
          {copied ? "Copied" : label}
        </Button>
      )}
    </CopyButton>
  );
}

/** What failed, what to try, and the id that finds it in the log. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = asProblem(error);
  const advice =
    problem.status === 0 || problem.status === 503
      ? "Nothing that you typed is lost. Wait a moment and try again."
      : problem.status === 404
        ? "It may have been removed, or it is not yours to see."
        : problem.status === 403
          ? "Your role does not allow this. An admin of the project can change that."
          : null;
  return (
    <div className="notice bad boxed" role="alert">
      <IconAlertOctagon size={17} aria-hidden />
      <div className="stack tight grow">
        <strong>{problem.title}</strong>
        {problem.detail !== "" && problem.detail !== problem.title && <span className="break">{problem.detail}</span>}
        {advice && <span>{advice}</span>}
        <div className="row wrap">
          {retry && (
            <Button size="compact-xs" variant="default" onClick={retry} leftSection={<IconRefresh size={13} />}>
              Try again
            </Button>
          )}
          {problem.requestId && (
            <>
              <span>
                Request <code>{problem.requestId}</code>
              </span>
              <Copy value={problem.requestId} label="Copy id" />
            </>
          )}
        </div>
      </div>
    </div>
  );
}

export function Empty({
  title,
  children,
  action,
  heading: Heading = "h2",
}: {
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  heading?: "h1" | "h2";
}) {
  return (
    <div className="empty">
      <Heading>{title}</Heading>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

/** A button that says why it cannot be pressed. It stays focusable, so that everybody can ask. */
export function ReasonedButton({
  reason,
  onClick,
  children,
  ...rest
}: {
  reason: string | null;
  onClick: () => void;
  children: ReactNode;
  variant?: string;
  color?: string;
  size?: string;
  leftSection?: ReactNode;
  loading?: boolean;
  "data-testid"?: string;
}) {
  const id = useId();
  // The same button with a reason and without: one that is made anew loses the focus.
  return (
    <>
      <Tooltip label={reason} disabled={reason === null} multiline maw={320}>
        <Button
          {...rest}
          aria-disabled={reason !== null || undefined}
          data-disabled={reason !== null || undefined}
          aria-describedby={reason === null ? undefined : id}
          onClick={() => {
            if (reason === null) onClick();
          }}
        >
          {children}
        </Button>
      </Tooltip>
      {reason !== null && (
        <span id={id} className="visually-hidden">
          {reason}
        </span>
      )}
    </>
  );
}

/** From the view to what it is part of; what is not known yet is left out. */
export function usePageTitle(...parts: (string | undefined)[]): void {
  const title = [...parts, "Config Guardian"].filter(Boolean).join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}

