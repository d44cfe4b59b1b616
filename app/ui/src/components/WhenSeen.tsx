import { useEffect, useRef, useState, type ReactNode } from "react";

/** How far from the window it is drawn already. */
const NEAR = "800px";

/** What is heavy and one of many: drawn when it comes near the window, and from then on. */
export function WhenSeen({ children }: { children: ReactNode }) {
  const [seen, setSeen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!place.current) return;
    const look = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && setSeen(true), {
      // What scrolls it; the margin counts for that box alone.
      root: place.current.closest("main"),
      rootMargin: NEAR,
    });
    look.observe(place.current);
    return () => look.disconnect();
  }, []);
  return seen ? children : <div ref={place} style={{ minHeight: "10rem" }} />;
}
