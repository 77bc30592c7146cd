using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class DisplayTests
{
    [Fact]
    public void A_line_puts_texts_at_columns_and_leaves_nothing_behind_the_last()
    {
        Assert.Equal("  a   b     c", new Line().At(2).Add("a").At(6).Add("b").Right(13, "c").At(40).ToString());
        Assert.Equal("long b", new Line().Add("long").At(2).Add("b").ToString());
        Assert.Equal("", new Line().At(9).Add("").ToString());
    }

    [Fact]
    public void What_a_server_sends_cannot_steer_the_terminal() =>
        Assert.Equal("a\uFFFD[2Jb\uFFFD", new Line().Add("a\u001b[2Jb\n").ToString());

    [Theory]
    [InlineData(0, "0 ns")]
    [InlineData(999, "999 ns")]
    [InlineData(1_000, "1.00 µs")]
    [InlineData(12_345, "12.3 µs")]
    [InlineData(999_400, "999 µs")]
    [InlineData(1_500_000, "1.50 ms")]
    [InlineData(61_000_000_000, "61.0 s")]
    public void Durations_have_three_digits_and_a_unit(long nanoseconds, string text) =>
        Assert.Equal(text, Figures.Nanoseconds(nanoseconds));

    [Fact]
    public void A_chart_reaches_from_0_to_the_greatest_figure_and_keeps_its_width()
    {
        var lines = Chart.Draw([0, 50, 100], 40, 2, "a second").Select(line => line.ToString()).ToArray();
        Assert.Equal(["         100 │  █", "           0 │ ██", "             a second"], lines);
        var wide = Chart.Draw([.. Enumerable.Repeat(1.0, 500)], 40, 2, "");
        Assert.All(wide, line => Assert.True(line.Width <= 40));
    }
}
