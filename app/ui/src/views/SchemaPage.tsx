export function SchemaPage() { return <main id="main" className="main" />; }
