// Vectors of float or double, and how each element type gets into them and out.
//
// Everything is in an anonymous namespace and uses no library: each instruction set compiles its
// own copy, and no copy may be merged with another's by the linker.
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};

template <class C>
struct Vector;
template <>
struct Vector<float> {
  static constexpr int kLanes = kVectorBytes / 4;
  typedef float Type __attribute__((vector_size(kVectorBytes)));
};
template <>
struct Vector<double> {
  static constexpr int kLanes = kVectorBytes / 8;
  typedef double Type __attribute__((vector_size(kVectorBytes)));
};
using Floats = Vector<float>::Type;
using Doubles = Vector<double>::Type;
constexpr int kFloats = Vector<float>::kLanes;
constexpr int kDoubles = Vector<double>::kLanes;

typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
typedef int32_t Integers __attribute__((vector_size(kVectorBytes)));
typedef uint16_t HalfWords __attribute__((vector_size(kVectorBytes / 2)));
typedef float FewFloats __attribute__((vector_size(kVectorBytes / 2)));

#define INLINE __attribute__((always_inline)) inline
#define INLINE_LAMBDA __attribute__((always_inline))

template <class To, class From>
INLINE To Bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

template <class V>
INLINE V Raw(const void* from) {
  V v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

INLINE Words Select(Integers mask, Words yes, Words no) {
  const Words m = Bits<Words>(mask);
  return (yes & m) | (no & ~m);
}

// float → float, double → double, float → double
INLINE Floats Load(const float* from, Floats*) { return Raw<Floats>(from); }
INLINE Doubles Load(const double* from, Doubles*) { return Raw<Doubles>(from); }
INLINE Doubles Load(const float* from, Doubles*) {
  return __builtin_convertvector(Raw<FewFloats>(from), Doubles);
}
INLINE void Store(float* to, Floats v) { __builtin_memcpy(to, &v, sizeof(v)); }
INLINE void Store(double* to, Doubles v) { __builtin_memcpy(to, &v, sizeof(v)); }

// bfloat16 is the upper half of a float; to nearest even, and a NaN stays one.
INLINE Floats Load(const BFloat* from, Floats*) {
  return Bits<Floats>(__builtin_convertvector(Raw<HalfWords>(from), Words) << 16);
}
#if defined(__AVX512F__)
INLINE void Store(BFloat* to, Floats v) {
  const __m512i bits = Bits<__m512i>(v);
  const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
  const __m512i half = _mm512_mask_blend_epi32(odd, _mm512_set1_epi32(0x7fff),
                                               _mm512_set1_epi32(0x8000));
  const __m512i rounded = _mm512_add_epi32(bits, half);
  const __mmask16 nan = _mm512_cmp_ps_mask(Bits<__m512>(v), Bits<__m512>(v), _CMP_UNORD_Q);
  const __m512i kept =
      _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  const __m256i narrow = _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
  __builtin_memcpy(to, &narrow, sizeof(narrow));
}
#else
INLINE void Store(BFloat* to, Floats v) {
  const Words bits = Bits<Words>(v);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Words halves = Select(v != v, (bits >> 16) | 0x40, rounded);
#if defined(__AVX2__)
  const __m256i packed = _mm256_packus_epi32(Bits<__m256i>(halves), Bits<__m256i>(halves));
  const __m128i narrow = _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
#else
  const HalfWords narrow = __builtin_convertvector(halves, HalfWords);
#endif
  __builtin_memcpy(to, &narrow, sizeof(narrow));
}
#endif

#if defined(__AVX512F__)
INLINE Floats Load(const Half* from, Floats*) {
  return Bits<Floats>(_mm512_cvtph_ps(Raw<__m256i>(from)));
}
INLINE void Store(Half* to, Floats v) {
  const __m256i halves = _mm512_cvtps_ph(Bits<__m512>(v), _MM_FROUND_TO_NEAREST_INT);
  __builtin_memcpy(to, &halves, sizeof(halves));
}
#elif defined(__F16C__)
INLINE Floats Load(const Half* from, Floats*) {
  return Bits<Floats>(_mm256_cvtph_ps(Raw<__m128i>(from)));
}
INLINE void Store(Half* to, Floats v) {
  const __m128i halves = _mm256_cvtps_ph(Bits<__m256>(v), _MM_FROUND_TO_NEAREST_INT);
  __builtin_memcpy(to, &halves, sizeof(halves));
}
#else
// By integer arithmetic: the exponents differ by 112, which a product makes good, subnormals too.
INLINE Floats Load(const Half* from, Floats*) {
  const Words h = __builtin_convertvector(Raw<HalfWords>(from), Words);
  const Words magnitude = (h & 0x7fff) << 13;
  const Words scaled = Bits<Words>(Bits<Floats>(magnitude) * 0x1p112f);
  const Words special = magnitude | 0x7f800000;
  const Words value = Select(Bits<Integers>(magnitude) >= 0x0f800000, special, scaled);
  return Bits<Floats>(value | ((h & 0x8000) << 16));
}
INLINE void Store(Half* to, Floats v) {
  const Words bits = Bits<Words>(v);
  const Words magnitude = bits & 0x7fffffff;
  const Integers order = Bits<Integers>(magnitude);
  // In float, 0.5 + a subnormal half has that half's bits at its end, rounded to nearest even.
  const Words small = Bits<Words>(Bits<Floats>(magnitude) + 0.5f) - 0x3f000000;
  const Words normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  Words half = Select(order < 0x38800000, small, normal);
  half = Select(order >= 0x477ff000, (half & 0) | 0x7c00, half);
  half = Select(order > 0x7f800000, (half & 0) | 0x7e00, half);
  const HalfWords narrow = __builtin_convertvector(half | ((bits >> 16) & 0x8000), HalfWords);
  __builtin_memcpy(to, &narrow, sizeof(narrow));
}
#endif

template <class V>
constexpr int kLanesOf = sizeof(V) / sizeof(V{}[0]);

// `count` elements, and zero for the rest of the vector.
template <class V, class T>
INLINE V LoadSome(const T* from, int count) {
  T buffer[kLanesOf<V>] = {};
  for (int i = 0; i < count; ++i) buffer[i] = from[i];
  return Load(buffer, static_cast<V*>(nullptr));
}
template <class V, class T>
INLINE void StoreSome(T* to, V v, int count) {
  T buffer[kLanesOf<V>];
  Store(buffer, v);
  for (int i = 0; i < count; ++i) to[i] = buffer[i];
}
template <class V, class T>
INLINE V LoadAll(const T* from) {
  return Load(from, static_cast<V*>(nullptr));
}

// Past the caches: for results that would not stay in them anyway. The address is a multiple of the
// width of the store.
template <class T, class V>
INLINE void StoreStreaming(T* to, V v) {
#if defined(__AVX2__)
  T buffer[kLanesOf<V>] __attribute__((aligned(64)));
  Store(buffer, v);
#if defined(__AVX512F__)
  if constexpr (sizeof(buffer) == 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to), Raw<__m512i>(buffer));
    return;
  }
#endif
  if constexpr (sizeof(buffer) == 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to), Raw<__m256i>(buffer));
  } else if constexpr (sizeof(buffer) == 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to), Raw<__m128i>(buffer));
  }
#else
  Store(to, v);
#endif
}
INLINE void FenceStreaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// The lanes of a vector added pairwise, half upon half.
INLINE float SumOfLanes(Floats v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps(Bits<__m512>(v));
#elif defined(__AVX2__)
  const __m256 all = Bits<__m256>(v);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  float parts[kFloats];
  Store(parts, v);
  for (int width = kFloats / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) parts[i] += parts[i + width];
  }
  return parts[0];
#endif
}
INLINE double SumOfLanes(Doubles v) {
  double parts[kDoubles];
  Store(parts, v);
  for (int width = kDoubles / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) parts[i] += parts[i + width];
  }
  return parts[0];
}

}  // namespace
