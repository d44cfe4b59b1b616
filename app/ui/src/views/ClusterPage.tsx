export function ClusterPage() { return <main id="main" className="main" />; }
