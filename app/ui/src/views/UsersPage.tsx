export function UsersPage() { return <main id="main" className="main" />; }
