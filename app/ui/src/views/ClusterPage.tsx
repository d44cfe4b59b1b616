/** Is the log well: leader, term, members, lag, drawn over the time that the page is open. */
import { useEffect, useState } from "react";
import { useCluster, useMe } from "../api/queries";
import type { Cluster } from "../api/types";
import { Badge, Empty, Failure, Loading, Notice, usePageTitle } from "../components/basics";
import { Chart } from "../components/Chart";

/** At one sample every two seconds: ten minutes. */
const MOST_SAMPLES = 300;
type Sample = { at: number; position: number; applied: number | null; read: number; lag: number | null; term: number | null; leader: string | null };

function sampleOf(cluster: Cluster): Sample {
  return {
    at: Date.now(),
    position: cluster.raft.last_position ?? 0,
    applied: cluster.projector.applied_position,
    read: cluster.read_model.position,
    lag: cluster.projector.lag,
    term: cluster.raft.term,
    leader: cluster.raft.leader,
  };
}

export function ClusterPage() {
  usePageTitle("Cluster");
  const me = useMe();
  const superuser = me.data?.is_superuser === true;
  const { data, error, isPending, refetch, dataUpdatedAt } = useCluster(superuser);
  const [samples, setSamples] = useState<Sample[]>([]);
  useEffect(() => {
    if (data) setSamples((before) => [...before, sampleOf(data)].slice(-MOST_SAMPLES));
  }, [data, dataUpdatedAt]);
  return (
    <main id="main" className="main">
      <div className="page">
        <div className="page-head">
          <div>
            <h1>Cluster</h1>
            <p>A change counts when most members of the Raft group have it on disk, and is answered when it is applied.</p>
          </div>
        </div>
        {me.data && !superuser && (
          <section className="panel">
            <Empty title="Only superusers see the cluster">Whether the service is well shows at the top of every page.</Empty>
          </section>
        )}
        {error && <Failure error={error} retry={() => void refetch()} />}
        {superuser && isPending && <Loading />}
        {data && <Now cluster={data} />}
        {samples.length > 0 && <OverTime samples={samples} />}
      </div>
    </main>
  );
}

function Now({ cluster: { raft, projector, read_model } }: { cluster: Cluster }) {
  return (
    <>
      {raft.reason && !raft.leader && (
        <Notice tone="bad" boxed live>
          The Raft group has no leader: changes are refused. {raft.reason}
        </Notice>
      )}
      {projector.halted && (
        <Notice tone="bad" boxed live>
          The projector has halted at position {projector.halted.position}: {projector.halted.reason}. {projector.halted.detail}
        </Notice>
      )}
      <section className="panel" aria-label="Now">
        <dl className="stats" style={{ margin: 0 }}>
          <Stat name="Leader" value={raft.leader ?? "none"} />
          <Stat name="Term" value={raft.term ?? "unknown"} />
          <Stat name="Last position" value={raft.last_position?.toLocaleString() ?? "unknown"} />
          <Stat name="Applied position" value={projector.applied_position?.toLocaleString() ?? "unknown"} />
          <Stat name="Projector" value={projector.active ? "active" : "not active"} />
          <Stat name="Read model" value={read_model.position.toLocaleString()} />
        </dl>
      </section>
      <section className="panel" aria-label="Members of the Raft group">
        <header>
          <h2>Members of the Raft group</h2>
        </header>
        <div className="table-wrap" tabIndex={0} role="group" aria-label="Members table">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Role</th>
                <th scope="col">State</th>
                <th scope="col">Up to date</th>
                <th scope="col" className="num">
                  Behind, messages
                </th>
              </tr>
            </thead>
            <tbody>
              {raft.members.map((member) => (
                <tr key={member.name}>
                  <td className="mono">{member.name}</td>
                  <td>{member.name === raft.leader ? <Badge tone="info">leader</Badge> : "follower"}</td>
                  <td>{member.online ? <Badge tone="good">online</Badge> : <Badge tone="bad">away</Badge>}</td>
                  <td>{member.current ? <Badge tone="good">yes</Badge> : <Badge tone="warn">catching up</Badge>}</td>
                  <td className="num">{member.lag.toLocaleString()}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  );
}

function Stat({ name, value }: { name: string; value: string | number }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="ellipsis">{value}</dd>
    </div>
  );
}

function OverTime({ samples }: { samples: Sample[] }) {
  const times = samples.map((each) => each.at);
  const rate = samples.map((each, index) => {
    const before = samples[index - 1];
    return before ? Math.max(0, (each.position - before.position) / Math.max(0.001, (each.at - before.at) / 1000)) : 0;
  });
  const elections = samples.filter((each, index) => index > 0 && each.leader !== samples[index - 1]?.leader).map((each) => each.at);
  return (
    <section className="panel" aria-label="Over time">
      <header>
        <h2>While this page is open</h2>
      </header>
      <div className="body stack loose">
        <Chart title="Messages not yet applied" unit="messages" times={times} values={samples.map((each) => each.lag ?? 0)} marks={elections} />
        <Chart title="Log growth" unit="positions a second" times={times} values={rate} marks={elections} />
        <Chart title="Read model behind the log" unit="positions" times={times} values={samples.map((each) => Math.max(0, each.position - each.read))} marks={elections} />
        <span className="muted">
          One message of the log holds one change set, or several that came at the same time. Positions have gaps: from one message to the next they may
          go by a hundred.
        </span>
        {elections.length > 0 && <span className="muted">A dashed line: another leader was elected.</span>}
      </div>
    </section>
  );
}
