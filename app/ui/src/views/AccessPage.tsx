export function AccessPage() { return <main id="main" className="main" />; }
