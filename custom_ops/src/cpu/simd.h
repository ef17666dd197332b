// Vectors of float or double, and how each element type gets into them and out.
//
// Everything is in an anonymous namespace and uses no library: each instruction set compiles its
// own copy, and no copy may be merged with another's by the linker.
#pragma once

#include <stddef.h>
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
#define NOINLINE __attribute__((noinline))
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
INLINE Floats Narrowed(Floats v, float*) { return v; }
INLINE Doubles Narrowed(Doubles v, double*) { return v; }

// bfloat16 is the upper half of a float; to nearest even, and a NaN stays one.
INLINE Floats Load(const BFloat* from, Floats*) {
  return Bits<Floats>(__builtin_convertvector(Raw<HalfWords>(from), Words) << 16);
}
// In the upper halves of the words; what is in the lower halves is left over.
INLINE Words RoundedToBFloat(Floats v) {
#if defined(__AVX512F__)
  // Any NaN becomes the one whose lower half is zero; all else stays.
  const __m512i nans = _mm512_set1_epi32(0x33);
  const __m512i bits =
      _mm512_castps_si512(_mm512_fixupimm_ps(Bits<__m512>(v), Bits<__m512>(v), nans, 0));
  const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
  const __m512i half = _mm512_mask_blend_epi32(odd, _mm512_set1_epi32(0x7fff),
                                               _mm512_set1_epi32(0x8000));
  return Bits<Words>(_mm512_add_epi32(bits, half));
#else
  const Words bits = Bits<Words>(v);
  return Select(v != v, bits | 0x400000, bits + 0x7fff + ((bits >> 16) & 1));
#endif
}
INLINE auto Narrowed(Floats v, BFloat*) {
  const Words halves = RoundedToBFloat(v) >> 16;
#if defined(__AVX512F__)
  return _mm512_cvtepi32_epi16(Bits<__m512i>(halves));
#elif defined(__AVX2__)
  const __m256i packed = _mm256_packus_epi32(Bits<__m256i>(halves), Bits<__m256i>(halves));
  return _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
#else
  return __builtin_convertvector(halves, HalfWords);
#endif
}

#if defined(__AVX512F__)
INLINE Floats Load(const Half* from, Floats*) {
  return Bits<Floats>(_mm512_cvtph_ps(Raw<__m256i>(from)));
}
INLINE __m256i Narrowed(Floats v, Half*) {
  return _mm512_cvtps_ph(Bits<__m512>(v), _MM_FROUND_TO_NEAREST_INT);
}
#elif defined(__F16C__)
INLINE Floats Load(const Half* from, Floats*) {
  return Bits<Floats>(_mm256_cvtph_ps(Raw<__m128i>(from)));
}
INLINE __m128i Narrowed(Floats v, Half*) {
  return _mm256_cvtps_ph(Bits<__m256>(v), _MM_FROUND_TO_NEAREST_INT);
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
INLINE HalfWords Narrowed(Floats v, Half*) {
  const Words bits = Bits<Words>(v);
  const Words magnitude = bits & 0x7fffffff;
  const Integers order = Bits<Integers>(magnitude);
  // In float, 0.5 + a subnormal half has that half's bits at its end, rounded to nearest even.
  const Words small = Bits<Words>(Bits<Floats>(magnitude) + 0.5f) - 0x3f000000;
  const Words normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112u << 23)) >> 13;
  Words half = Select(order < 0x38800000, small, normal);
  half = Select(order >= 0x477ff000, (half & 0) | 0x7c00, half);
  half = Select(order > 0x7f800000, (half & 0) | 0x7e00, half);
  return __builtin_convertvector(half | ((bits >> 16) & 0x8000), HalfWords);
}
#endif

template <class T, class V>
INLINE void Store(T* to, V v) {
  const auto narrow = Narrowed(v, to);
  __builtin_memcpy(to, &narrow, sizeof(narrow));
}

// Past the caches, for what would not stay in them anyway; `to` is a multiple of the width.
template <class Bytes>
INLINE void Stream(void* to, const Bytes& bytes) {
#if defined(__AVX512F__)
  if constexpr (sizeof(bytes) == 64) {
    return _mm512_stream_si512(static_cast<__m512i*>(to), Bits<__m512i>(bytes));
  }
#endif
#if defined(__AVX__)
  if constexpr (sizeof(bytes) == 32) {
    return _mm256_stream_si256(static_cast<__m256i*>(to), Bits<__m256i>(bytes));
  }
#endif
#if defined(__SSE2__)
  if constexpr (sizeof(bytes) == 16) {
    return _mm_stream_si128(static_cast<__m128i*>(to), Bits<__m128i>(bytes));
  }
#endif
  __builtin_memcpy(to, &bytes, sizeof(bytes));
}
INLINE void FenceStreaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

template <class V>
constexpr int kLanesOf = sizeof(V) / sizeof(V{}[0]);

// `count` elements, and zero for the rest of the vector.
template <class V, class T>
INLINE V LoadSome(const T* from, int count) {
  T buffer[kLanesOf<V>] = {};
  __builtin_memcpy(buffer, from, static_cast<size_t>(count) * sizeof(T));
  return Load(buffer, static_cast<V*>(nullptr));
}
template <class V, class T>
INLINE void StoreSome(T* to, V v, int count) {
  T buffer[kLanesOf<V>];
  Store(buffer, v);
  __builtin_memcpy(to, buffer, static_cast<size_t>(count) * sizeof(T));
}
template <class V, class T>
INLINE V LoadAll(const T* from) {
  return Load(from, static_cast<V*>(nullptr));
}

// One element.
template <class C>
INLINE C One(const float* from) {
  return *from;
}
template <class C>
INLINE C One(const double* from) {
  return *from;
}
template <class C>
INLINE C One(const BFloat* from) {
  return Bits<float>(static_cast<uint32_t>(from->bits) << 16);
}
template <class C>
INLINE C One(const Half* from) {
#if defined(__F16C__)
  return _cvtsh_ss(from->bits);
#else
  return LoadSome<Floats>(from, 1)[0];
#endif
}

// Two vectors' worth of neighbouring elements, in the order of their type T: of bfloat16 the even
// elements are in one vector and the odd ones in the other, because each word of memory holds one
// of either, and neither way needs a shuffle then. Of all others the first vector comes first.
template <class V>
struct Pair {
  V first, second;

  INLINE friend Pair operator+(Pair a, Pair b) { return {a.first + b.first, a.second + b.second}; }
  INLINE friend Pair operator*(Pair a, Pair b) { return {a.first * b.first, a.second * b.second}; }
  template <class C>
  INLINE friend Pair operator+(Pair a, C b) {
    return {a.first + b, a.second + b};
  }
  template <class C>
  INLINE friend Pair operator-(Pair a, C b) {
    return {a.first - b, a.second - b};
  }
  template <class C>
  INLINE friend Pair operator*(Pair a, C b) {
    return {a.first * b, a.second * b};
  }
};
template <class T>
constexpr bool kEvenAndOdd = false;
template <>
constexpr bool kEvenAndOdd<BFloat> = true;

template <class V, class T>
INLINE Pair<V> LoadPair(const T* from) {
  return {LoadAll<V>(from), LoadAll<V>(from + kLanesOf<V>)};
}
template <class V>
INLINE Pair<V> LoadPair(const BFloat* from) {
  const Words words = Raw<Words>(from);
  return {Bits<V>(words << 16), Bits<V>(words & 0xffff0000)};
}
INLINE Words WordsOf(Pair<Floats> v) {
  return (RoundedToBFloat(v.first) >> 16) | (RoundedToBFloat(v.second) & 0xffff0000);
}
template <class V, class T>
INLINE void StorePair(T* to, Pair<V> v) {
  Store(to, v.first);
  Store(to + kLanesOf<V>, v.second);
}
INLINE void StorePair(BFloat* to, Pair<Floats> v) {
  const Words words = WordsOf(v);
  __builtin_memcpy(to, &words, sizeof(words));
}
template <class V, class T>
INLINE void StreamPair(T* to, Pair<V> v) {
  Stream(to, Narrowed(v.first, to));
  Stream(to + kLanesOf<V>, Narrowed(v.second, to));
}
INLINE void StreamPair(BFloat* to, Pair<Floats> v) { Stream(to, WordsOf(v)); }

// `count` elements, and zero for the rest of the pair.
template <class V, class T>
INLINE Pair<V> LoadPairSome(const T* from, int count) {
  T buffer[2 * kLanesOf<V>] = {};
  __builtin_memcpy(buffer, from, static_cast<size_t>(count) * sizeof(T));
  return LoadPair<V>(buffer);
}
template <class V, class T>
INLINE void StorePairSome(T* to, Pair<V> v, int count) {
  T buffer[2 * kLanesOf<V>];
  StorePair(buffer, v);
  __builtin_memcpy(to, buffer, static_cast<size_t>(count) * sizeof(T));
}

// A pair of two vectors one after the other as its even and its odd elements.
INLINE Pair<Floats> Unzipped(Pair<Floats> v) {
#if defined(__AVX512F__)
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  const __m512 first = Bits<__m512>(v.first), second = Bits<__m512>(v.second);
  return {Bits<Floats>(_mm512_permutex2var_ps(first, even, second)),
          Bits<Floats>(_mm512_permutex2var_ps(first, odd, second))};
#else
  Pair<Floats> apart;
  for (int i = 0; i < kFloats; ++i) {
    const Floats& from = i < kFloats / 2 ? v.first : v.second;
    apart.first[i] = from[2 * i % kFloats];
    apart.second[i] = from[2 * i % kFloats + 1];
  }
  return apart;
#endif
}
// Elements of type S in the order that a pair of type T has.
template <class T, class S, class V>
INLINE Pair<V> InOrderOf(Pair<V> v) {
  if constexpr (kEvenAndOdd<T> && !kEvenAndOdd<S>) return Unzipped(v);
  return v;
}

// The first `count` elements of a pair of type T, and zero for the rest.
template <class T, class V>
INLINE Pair<V> FirstOfPair(Pair<V> v, int count) {
  constexpr int kLanes = kLanesOf<V>;
  for (int i = 0; i < kLanes; ++i) {
    if ((kEvenAndOdd<T> ? 2 * i : i) >= count) v.first[i] = 0;
    if ((kEvenAndOdd<T> ? 2 * i + 1 : kLanes + i) >= count) v.second[i] = 0;
  }
  return v;
}

// Asks for what lies as far behind as it takes memory to answer; `count` elements of it. The machine
// itself stops looking ahead at the end of a page. No address is wrong here.
template <class T>
INLINE void PrefetchAfter(const T* from, int count) {
  constexpr uintptr_t kAhead = 3072;
  const uintptr_t at = reinterpret_cast<uintptr_t>(from) + kAhead;
  for (uintptr_t byte = 0; byte < static_cast<unsigned>(count) * sizeof(T); byte += 64) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + byte));
  }
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
