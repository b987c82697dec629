#version 300 es
// One corner of a soft round shadow that lies on the floor.
precision highp float;

uniform mat4 cameraFromWorld;
uniform vec4 intrinsics;
uniform vec2 viewport;
uniform vec4 disc;  // centre in metres, radius

out vec2 place;

void main() {
  place = vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1);
  vec3 inCamera = (cameraFromWorld * vec4(disc.xyz + disc.w * vec3(place.x, 0.0, place.y), 1.0)).xyz;
  vec2 pixel = intrinsics.xy * inCamera.xy + intrinsics.zw * inCamera.z;
  // The depth as w keeps the disc right in perspective; everything in front of the camera is drawn.
  gl_Position = vec4(2.0 * pixel.x / viewport.x - inCamera.z, inCamera.z - 2.0 * pixel.y / viewport.y, 0.0, inCamera.z);
}
