export function HistoryPage() { return <main id="main" className="main" />; }
