"""The viewer: an avatar in the browser, to look at, to play and to pose.

One frozen dataclass, `state.ViewState`, describes everything that the page shows. Panels and gizmos only replace it,
and a single loop (`app.Viewer`) draws it. So no callback reaches into another, and every open tab shows the same.
"""
