/** Text with the searched words marked. Always text nodes: content is never markup. */
export function Marked({ text, words }: { text: string; words: string }) {
  const wanted = words.trim().toLowerCase();
  const index = wanted === "" ? -1 : text.toLowerCase().indexOf(wanted);
  if (index === -1) return <>{text}</>;
  return (
    <>
      {text.slice(0, index)}
      <mark>{text.slice(index, index + wanted.length)}</mark>
      {text.slice(index + wanted.length)}
    </>
  );
}
