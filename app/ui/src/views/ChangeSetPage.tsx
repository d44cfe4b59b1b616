export function ChangeSetPage() { return <main id="main" className="main" />; }
