import { Dialog } from "../components/Dialog";
import { shortcuts } from "../lib/hotkeys";

export function ShortcutList({ onClose }: { onClose: () => void }) {
  return (
    <Dialog onClose={onClose} title="Keyboard shortcuts">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Keys</th>
            <th scope="col">What they do</th>
          </tr>
        </thead>
        <tbody>
          {shortcuts.map((each) => (
            <tr key={each.keys}>
              <td>
                <kbd>{each.keys}</kbd>
              </td>
              <td>{each.does}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
