/** One line over time; the number is also there as text for those who cannot see the line. */
const WIDTH = 600;
const HEIGHT = 100;

export function Chart({
  title,
  unit,
  times,
  values,
  marks = [],
}: {
  title: string;
  unit: string;
  times: readonly number[];
  values: readonly number[];
  marks?: readonly number[];
}) {
  const from = times[0] ?? 0;
  const span_ms = Math.max(60_000, (times.at(-1) ?? 0) - from);
  const most = Math.max(1, ...values);
  const x = (time: number): number => ((time - from) / span_ms) * WIDTH;
  const points = values.map((value, index) => `${x(times[index] ?? 0).toFixed(1)},${(HEIGHT - (value / most) * (HEIGHT - 8) - 2).toFixed(1)}`);
  const round = (value: number): string => value.toLocaleString(undefined, { maximumFractionDigits: 1 });
  const summary = `${round(values.at(-1) ?? 0)} ${unit} now, at most ${round(Math.max(0, ...values))}`;
  return (
    <figure style={{ margin: 0 }}>
      <figcaption className="row">
        <strong className="grow">{title}</strong>
        <span className="muted">{summary}</span>
      </figcaption>
      <svg className="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}: ${summary}`}>
        <line className="axis" x1={0} x2={WIDTH} y1={HEIGHT - 1} y2={HEIGHT - 1} />
        <line className="axis" x1={0} x2={WIDTH} y1={HEIGHT / 2} y2={HEIGHT / 2} strokeDasharray="2 6" />
        {marks.map((time) => (
          <line key={time} x1={x(time)} x2={x(time)} y1={0} y2={HEIGHT} stroke="var(--g-warn)" strokeDasharray="4 3" vectorEffect="non-scaling-stroke" />
        ))}
        <polyline className="line" stroke="var(--mantine-color-accent-6)" points={points.join(" ")} />
      </svg>
      <div className="row muted" style={{ fontSize: "0.75rem" }}>
        <span>{times[0] !== undefined && new Date(times[0]).toLocaleTimeString()}</span>
        <span className="end">{round(most)} at the top</span>
      </div>
    </figure>
  );
}
