package drift

import "math"

// smirnovP is the probability that the two-sample Kolmogorov-Smirnov statistic
// of samples of n and m values of one continuous distribution is at least d.
// Exact up to 10,000 values a side; beyond, that of the one-sample statistic at
// n·m/(n+m) values, as in SciPy.
func smirnovP(d float64, n, m int) float64 {
	const exactUpTo = 10_000
	effective := float64(n) * float64(m) / float64(n+m)
	if max(n, m) > exactUpTo {
		return kolmogorovP(d, int(math.RoundToEven(effective)))
	}
	g := gcd(n, m)
	h := int(math.Round(d * float64(n/g) * float64(m)))
	switch {
	case h == 0:
		return 1
	case effective*d*d >= 370: // below the least float
		return 0
	}
	return pathsOutside(n, m, n/g, m/g, h)
}

// pathsOutside follows the merged order of the samples as a path from (0, 0) to
// (n, m), every path as likely as another: the probability that some step has
// |i/n - j/m| >= h/lcm, by Hodges (1958) as a recurrence of sums of positive
// terms: what reached a point came from the left or from below, in proportion to
// their numbers of paths.
func pathsOutside(n, m, stepN, stepM, h int) float64 {
	outside := make([]float64, m+1) // of point (i, j): 1 beyond the band
	for j := range outside {
		outside[j] = 1
	}
	low := 0
	for i := 0; i <= n; i++ {
		first := max(0, floorDiv(i*stepM-h, stepN)+1)
		last := min(m, -floorDiv(-(i*stepM+h), stepN)-1)
		for ; low < first; low++ {
			outside[low] = 1
		}
		for j := first; j <= last; j++ {
			switch {
			case i == 0:
				outside[j] = 0
			case j == 0:
				// Reached from the left only.
			default:
				outside[j] = (float64(float64(i)*outside[j]) + float64(float64(j)*outside[j-1])) / float64(i+j)
			}
		}
	}
	return outside[m]
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// kolmogorovP is the probability that the one-sample Kolmogorov-Smirnov
// statistic of n values is at least d, by the methods and where Simard and
// L'Ecuyer (2011) find each accurate to six digits or more.
func kolmogorovP(d float64, n int) float64 {
	N := float64(n)
	switch nd2 := N * d * d; {
	case N*d <= 0.5:
		return 1
	case d >= 1 || nd2 >= 370:
		return 0
	case d >= 0.5 || nd2 >= 4 || n > 140 && nd2 >= 2.2:
		return min(1, 2*oneSidedP(d, n))
	case n <= 140 || n <= 100_000 && N*math.Pow(d, 1.5) <= 1.4:
		return clip(1 - marsaglia(d, n))
	default:
		return clip(1 - pelzGood(d, n))
	}
}

func clip(p float64) float64 { return min(max(p, 0), 1) }

// oneSidedP is the tail of the one-sided statistic, by Smirnov's sum: exact, and
// half the two-sided one where that is small.
func oneSidedP(d float64, n int) float64 {
	N := float64(n)
	all, _ := math.Lgamma(N + 1)
	sum := 0.0
	for j := 0; j <= int(N*(1-d)); j++ {
		J := float64(j)
		left := 1 - d - J/N
		if left <= 0 {
			break
		}
		a, _ := math.Lgamma(J + 1)
		b, _ := math.Lgamma(N - J + 1)
		sum += math.Exp(all - a - b + (J-1)*math.Log(d+J/N) + (N-J)*math.Log(left))
	}
	return min(d*sum, 1)
}

// marsaglia is the distribution function by Durbin's matrix in the form of
// Marsaglia, Tsang and Wang (2003), with the matrix divided by e, so that its
// n-th power neither overflows nor needs an exponent of its own.
func marsaglia(d float64, n int) float64 {
	nd := float64(n) * d
	k := int(math.Ceil(nd))
	h := float64(k) - nd
	size := 2*k - 1
	step := newMatrix(size)
	fall := make([]float64, size+1) // 1/j!
	fall[0] = 1
	for j := 1; j <= size; j++ {
		fall[j] = fall[j-1] / float64(j)
	}
	for i := range size {
		for j := 1; j <= min(i+1, size-1); j++ {
			step[i][j] = fall[i-j+1] / math.E
		}
	}
	for i := range size {
		v := (1 - math.Pow(h, float64(i+1))) * fall[i+1] / math.E
		if i == size-1 {
			s := float64(size)
			v = (1 - 2*math.Pow(h, s) + math.Pow(max(2*h-1, 0), s)) * fall[size] / math.E
		}
		step[i][0], step[size-1][size-1-i] = v, v
	}
	logFactorial, _ := math.Lgamma(float64(n) + 1)
	N := float64(n)
	return power(step, n)[k-1][k-1] * math.Exp(logFactorial+N-N*math.Log(N))
}

type matrix [][]float64

func newMatrix(size int) matrix {
	rows := make(matrix, size)
	for i := range rows {
		rows[i] = make([]float64, size)
	}
	return rows
}

func (a matrix) times(b matrix) matrix {
	product := newMatrix(len(a))
	for i := range a {
		for k, x := range a[i] {
			for j, y := range b[k] {
				product[i][j] += float64(x * y)
			}
		}
	}
	return product
}

// power takes n of at least 1.
func power(a matrix, n int) matrix {
	var product matrix
	for ; n > 0; n /= 2 {
		if n%2 == 1 {
			if product == nil {
				product = a
			} else {
				product = product.times(a)
			}
		}
		if n > 1 {
			a = a.times(a)
		}
	}
	return product
}

// pelzGood is the distribution function by the asymptotic series of Pelz and
// Good (1976): K0(z) + K1(z)/√n + K2(z)/n + K3(z)/n^(3/2) at z = d·√n, with each
// K as sums of exp(-π²(2k-1)²/8z²) and of exp(-π²k²/2z²).
func pelzGood(d float64, n int) float64 {
	const pi2 = math.Pi * math.Pi
	z := d * math.Sqrt(float64(n))
	z2 := z * z
	z4, z6, z8 := z2*z2, z2*z2*z2, z2*z2*z2*z2
	var k0, k1, k2, k3, extra2, extra3 float64
	for k := math.Ceil(16*z/math.Pi) + 1; k > 0; k-- {
		o2 := (2*k - 1) * (2*k - 1) * pi2 / 4
		odd := math.Exp(-o2 / (2 * z2))
		k0 += odd
		k1 += odd * (o2 - z2)
		k2 += odd * (6*z6 + 2*z4 + (2*z4-5*z2)*o2 + (1-2*z2)*o2*o2)
		k3 += odd * (-30*z6 - 90*z8 + (135*z4-96*z6)*o2 + (212*z4-60*z2)*o2*o2 + (5-30*z2)*o2*o2*o2)
		a2 := k * k * pi2
		every := math.Exp(-a2 / (2 * z2))
		extra2 += every * a2
		extra3 += every * a2 * (3*z2 - a2)
	}
	root := math.Sqrt(float64(n))
	k0 /= z
	k1 /= 6 * z4 * root
	k2 = (k2/(72*z6*z) - extra2/(36*z2*z)) / float64(n)
	k3 = (k3/(6480*z8*z2) + extra3/(216*z6)) / (float64(n) * root)
	return math.Sqrt(2*math.Pi) * (k0 + k1 + k2 + k3)
}
