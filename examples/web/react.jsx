// The element as a React component: npm install splat-avatar-player, or import it from the folder of `avatar export --web`.

import { useEffect, useRef, useState } from "react";
import "splat-avatar-player";

export function Person({ src, motion = "walk", onError }) {
  const player = useRef(null);
  const [motions, setMotions] = useState([]);

  useEffect(() => {
    const element = player.current;
    const onLoad = () => setMotions(element.motions);
    const onFail = (event) => onError?.(event.detail);
    element.addEventListener("load", onLoad);
    element.addEventListener("error", onFail);
    return () => {
      element.removeEventListener("load", onLoad);
      element.removeEventListener("error", onFail);
    };
  }, [onError]);

  return (
    <figure>
      <avatar-player ref={player} src={src} motion={motion} poster="" camera-controls="" />
      <figcaption>
        {motions.map((name) => (
          <button key={name} onClick={() => player.current.play(name)}>{name}</button>
        ))}
      </figcaption>
    </figure>
  );
}
