// The shaders in GLSL, as modules can hold them.

export const SPLAT_VERTEX = `#version 300 es
// One corner of one splat: its Gaussian is skinned, projected and spanned by a square of its own axes.
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;

uniform usampler2D drawOrder;   // splats from far to near
uniform sampler2D restPlaces;   // centre at rest in metres, log brightness
uniform sampler2D restTurns;    // orientation at rest, quaternion wxyz
uniform sampler2D sizes;        // log standard deviations, scaled to 0..1; shading of skin from 128 on
uniform sampler2D paints;       // colour and opacity
uniform sampler2D restNormals;  // octahedral
uniform usampler2D bones;       // four joints ...
uniform sampler2D boneWeights;  // ... and their weights
uniform sampler2D joints;       // three rows of a matrix and a quaternion for each joint, and for the world
uniform vec2 sizeRange;         // log metres
uniform mat4 cameraFromWorld;   // OpenCV: x right, y down, z forward
uniform vec4 intrinsics;        // fx, fy, cx, cy in pixels
uniform vec2 viewport;           // width and height in pixels
uniform vec2 depthTerms;         // depth in clip space is x + y / z
uniform vec3 light[8];          // log gains by the normal's polynomials
uniform float shadingRange;     // log brightness that the shading of skin has at most; 0 leaves it
uniform float cutDepth;         // nearer than this the scene is cut away above its floor, metres

out vec4 color;
out vec2 place;  // in standard deviations

const float BLUR = 0.3;          // px^2, as the training renderer
const float NEAR = 0.01;
const float VIEW_MARGIN = 0.15;
const float MIN_ALPHA = 1.0 / 255.0;
const float FLOOR = 0.1;         // metres above the ground, as in avatar/model/world.py

ivec2 texel(int index) {
  return ivec2(index & 1023, index >> 10);
}

mat3 matrixOf(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

vec3 octahedral(vec2 e) {
  vec3 n = vec3(e, 1.0 - abs(e.x) - abs(e.y));
  float fold = max(-n.z, 0.0);
  n.xy -= fold * vec2(n.x >= 0.0 ? 1.0 : -1.0, n.y >= 0.0 ? 1.0 : -1.0);
  return normalize(n);
}

// Distant light by the direction a surface faces (Ramamoorthi and Hanrahan 2001), as in avatar/model/lighting.py.
vec3 gains(vec3 n) {
  vec3 sum = light[0] * n.x + light[1] * n.y + light[2] * n.z
    + light[3] * n.x * n.y + light[4] * n.y * n.z + light[5] * n.z * n.x
    + light[6] * (n.x * n.x - n.z * n.z) + light[7] * (1.5 * n.y * n.y - 0.5);
  return exp(sum);
}

void main() {
  gl_Position = vec4(0.0, 0.0, 2.0, 1.0);  // clipped away, unless all goes well
  int splat = int(texelFetch(drawOrder, texel(gl_VertexID >> 2), 0).r);
  ivec2 at = texel(splat);

  // Centres follow the blend of matrices, orientations by the blend of quaternions, as in avatar/model/skinning.py.
  vec4 rest = texelFetch(restPlaces, at, 0);
  uvec4 bone = texelFetch(bones, at, 0);
  vec4 weight = texelFetch(boneWeights, at, 0);
  vec4 home = vec4(rest.xyz, 1.0);
  vec3 center = vec3(0.0);
  vec4 turn = vec4(0.0);
  for (int i = 0; i < 4; i++) {
    int row = int(bone[i]);
    vec4 x = texelFetch(joints, ivec2(0, row), 0);
    vec4 y = texelFetch(joints, ivec2(1, row), 0);
    vec4 z = texelFetch(joints, ivec2(2, row), 0);
    center += weight[i] * vec3(dot(x, home), dot(y, home), dot(z, home));
    turn += weight[i] * texelFetch(joints, ivec2(3, row), 0);
  }
  mat3 worldFromRest = matrixOf(normalize(turn));

  vec3 inCamera = (cameraFromWorld * vec4(center, 1.0)).xyz;
  if (inCamera.z < NEAR) return;
  bool still = int(bone.x) == textureSize(joints, 0).y - 1;  // the scene
  if (still && inCamera.z < cutDepth && center.y > FLOOR) return;
  vec4 paint = texelFetch(paints, at, 0);
  if (paint.a < MIN_ALPHA) return;

  // Local affine approximation of the projection (Zwicker et al. 2002); the slope is limited outside the view.
  vec2 margin = VIEW_MARGIN * viewport / intrinsics.xy;
  vec2 slope = clamp(inCamera.xy / inCamera.z, -intrinsics.zw / intrinsics.xy - margin,
    (viewport - intrinsics.zw) / intrinsics.xy + margin);
  vec2 focal = intrinsics.xy / inCamera.z;
  mat3x2 J = mat3x2(focal.x, 0.0, 0.0, focal.y, -focal.x * slope.x, -focal.y * slope.y);
  vec4 size = texelFetch(sizes, at, 0);
  vec3 deviations = exp(mix(vec3(sizeRange.x), vec3(sizeRange.y), size.xyz));
  mat3 own = worldFromRest * matrixOf(normalize(texelFetch(restTurns, at, 0)));
  own = mat3(own[0] * deviations.x, own[1] * deviations.y, own[2] * deviations.z);
  mat3x2 root = J * mat3(cameraFromWorld) * own;
  mat2 covariance = root * transpose(root);
  float a = covariance[0][0] + BLUR, b = covariance[0][1], c = covariance[1][1] + BLUR;

  // Axes of the ellipse.
  float mean = 0.5 * (a + c), spread = length(vec2(0.5 * (a - c), b));
  float large = mean + spread, small = max(mean - spread, 1e-6);
  vec2 axis = spread < 1e-6 ? vec2(1.0, 0.0) : normalize(abs(b) > 1e-9 ? vec2(b, large - a)
    : (a >= c ? vec2(1.0, 0.0) : vec2(0.0, 1.0)));
  float reach = sqrt(2.0 * log(paint.a / MIN_ALPHA));
  place = reach * vec2((gl_VertexID & 1) * 2 - 1, (gl_VertexID & 2) - 1);
  vec2 pixel = intrinsics.xy * inCamera.xy / inCamera.z + intrinsics.zw
    + sqrt(large) * place.x * axis + sqrt(small) * place.y * vec2(-axis.y, axis.x);
  gl_Position = vec4(2.0 * pixel.x / viewport.x - 1.0, 1.0 - 2.0 * pixel.y / viewport.y, depthTerms.x + depthTerms.y / inCamera.z, 1.0);

  vec3 normal = worldFromRest * octahedral(texelFetch(restNormals, at, 0).xy);
  // The scene has its light in its colours.
  float shading = shadingRange * (255.0 * size.w - 128.0) / 127.0;
  vec3 shines = still ? vec3(1.0) : exp(-shading) * gains(normal);
  color = vec4(min(paint.rgb * exp(rest.w) * shines, 1.0), paint.a);
}
`;

export const SPLAT_FRAGMENT = `#version 300 es
precision highp float;

in vec4 color;
in vec2 place;
out vec4 pixel;

void main() {
  float alpha = min(0.999, color.a * exp(-0.5 * dot(place, place)));
  if (alpha < 1.0 / 255.0) discard;
  pixel = vec4(color.rgb * alpha, alpha);
}
`;

export const SHADOW_VERTEX = `#version 300 es
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
`;

export const SHADOW_FRAGMENT = `#version 300 es
precision highp float;

uniform float darkness;
in vec2 place;
out vec4 pixel;

void main() {
  float fall = max(1.0 - dot(place, place), 0.0);
  pixel = vec4(0.0, 0.0, 0.0, darkness * fall * fall);
}
`;
