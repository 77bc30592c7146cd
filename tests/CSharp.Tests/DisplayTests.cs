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
        Assert.Equal("温度 b", new Line().Add("温度").At(5).Add("b").ToString());
    }

    [Fact]
    public void A_line_is_broken_between_words_and_goes_on_at_a_column()
    {
        var line = new Line().At(2).Add("name").At(8).Add("one  two").Add(" three");
        Assert.Equal(["  name  one  two three"], line.Wrap(22, 8).Select(row => row.ToString()));
        Assert.Equal(["  name  one  two", "        three"], line.Wrap(21, 8).Select(row => row.ToString()));
        Assert.Equal(["  name  one", "        two", "        three"], line.Wrap(12, 8).Select(row => row.ToString()));
        Assert.Equal(["unbreakable", "  a"], new Line().Add("unbreakable a").Wrap(5, 2).Select(row => row.ToString()));
        Assert.Equal([Look.Bad], new Line().Add("a b", Look.Bad).Wrap(2, 0).Last().Parts.Select(part => part.Style));
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
    [InlineData(999_600, "1.00 ms")]
    [InlineData(999_499_999, "999 ms")]
    [InlineData(999_950_000, "1.00 s")]
    [InlineData(1_500_000, "1.50 ms")]
    [InlineData(61_000_000_000, "61.0 s")]
    public void Durations_have_three_digits_and_a_unit(long nanoseconds, string text) =>
        Assert.Equal(text, Figures.Nanoseconds(nanoseconds));

    [Fact]
    public void A_chart_reaches_from_0_to_the_greatest_figure_and_keeps_its_width()
    {
        var lines = Chart.Draw([0, 50, 100], 40, 2, "a second").Select(line => line.ToString()).ToArray();
        Assert.Equal(["        100 │  █", "          0 │ ██", "             a second"], lines);
        var high = Chart.Draw([0, 50, 100], 40, 3, "").Take(3).Select(line => line.ToString().IndexOf('│', StringComparison.Ordinal));
        Assert.All(high, axis => Assert.Equal(12, axis));
        var wide = Chart.Draw([.. Enumerable.Repeat(1.0, 500)], 40, 2, "");
        Assert.All(wide, line => Assert.True(line.Width <= 40));
    }
}
