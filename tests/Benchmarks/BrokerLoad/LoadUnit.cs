using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>How a figure is shown.</summary>
/// <param name="Format">The format of the number.</param>
/// <param name="Divisor">What it is divided by before.</param>
/// <param name="IsRate">Whether more is better, and a build can be held to that of another.</param>
internal sealed record LoadUnit(string Format, double Divisor = 1, bool IsRate = false)
{
    /// <summary>So many in a second.</summary>
    public static LoadUnit Rate { get; } = new("N0", IsRate: true);

    /// <summary>Milliseconds, or a share of one core.</summary>
    public static LoadUnit Fine { get; } = new("0.000");

    /// <summary>A small number.</summary>
    public static LoadUnit Number { get; } = new("0.00");

    /// <summary>Bytes, which are shown in KB.</summary>
    public static LoadUnit Kilobytes { get; } = new("0.0", 1024);

    /// <summary>Microseconds.</summary>
    public static LoadUnit Microseconds { get; } = new("0");

    public string Show(double value) => (value / Divisor).ToString(Format, CultureInfo.InvariantCulture);
}
