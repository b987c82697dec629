"""The viewer: an avatar in the browser, to look at, to play and to pose.

One frozen dataclass, `state.ViewState`, says all that the page shows. Panels and gizmos only replace it; a single
loop (`app.Viewer`) draws it. So no callback reaches into another, and every open tab shows the same.
"""
