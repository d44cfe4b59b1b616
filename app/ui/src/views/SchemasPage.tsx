export function SchemasPage() { return <main id="main" className="main" />; }
