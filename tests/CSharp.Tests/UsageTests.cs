using System.Text;

namespace Mqtt5.CSharp.Tests;

public sealed class UsageTests
{
    [Theory]
    [InlineData("1G", "argument 1, character 2: 'G' is not a hexadecimal digit")]
    [InlineData("C00", "argument 1, character 4: the second digit of a byte is missing")]
    [InlineData("C 000", "argument 1, character 2: the second digit of a byte is missing")]
    [InlineData("0x", "argument 1, character 3: no digits follow 0x")]
    [InlineData("0x C0", "argument 1, character 3: no digits follow 0x")]
    [InlineData("C0\u00e9", "argument 1, character 3: the byte 0xFF is not a hexadecimal digit")]
    [InlineData("", "arguments: there are no bytes to decode")]
    public async Task Bad_hex_is_told_with_its_position(string hex, string message)
    {
        var run = await CommandRun.InProcessAsync(null, "decode", hex);
        Assert.Equal($"mqtt5: {message}\n", run.Error);
        Assert.Equal("", run.Output);
        Assert.Equal(2, run.ExitCode);
    }

    [Fact]
    public async Task Bad_hex_in_a_later_argument_or_line_is_told_with_its_position()
    {
        var argument = await CommandRun.InProcessAsync(null, "decode", "C000", "D0-0");
        Assert.Equal("mqtt5: argument 2, character 3: '-' is not a hexadecimal digit\n", argument.Error);

        var line = await CommandRun.InProcessAsync(Encoding.ASCII.GetBytes("C000\n\nD0 0z"), "decode");
        Assert.Equal("mqtt5: standard input, taken as hexadecimal text, line 3, column 5: 'z' is not a hexadecimal digit\n", line.Error);
        Assert.Equal(2, line.ExitCode);
    }

    [Theory]
    [InlineData("There is no option --nope.", "decode", "--nope")]
    [InlineData("Give either hexadecimal arguments or --file, not both.", "decode", "C000", "--file", "x")]
    [InlineData("--raw cannot be combined with hexadecimal input.", "decode", "C000", "--raw")]
    [InlineData("--raw cannot be combined with hexadecimal input.", "decode", "--file", "x", "--raw", "--hex")]
    [InlineData("--max-packet-bytes is from 2 to 268435460, not 1.", "decode", "C000", "--max-packet-bytes", "1")]
    [InlineData("--max-packet-bytes is from 2 to 268435460, not 268435461.", "decode", "C000", "--max-packet-bytes", "268435461")]
    [InlineData("'many'", "decode", "C000", "--max-packet-bytes", "many")]
    [InlineData("'both'", "decode", "C000", "--from", "both")]
    [InlineData("--file", "decode", "--file")]
    [InlineData("'nope'", "nope")]
    [InlineData("mqtt5 VERB [options]", new string[0])]
    [InlineData("Nothing to decode", "decode")]
    [InlineData("there-is-no-such-file", "decode", "--file", "there-is-no-such-file")]
    [InlineData("mqtt5: /: ", "decode", "--file", "/")]
    [InlineData("--file: this cannot be the name of a file", "decode", "--file", "")]
    public async Task Bad_usage_is_told_and_nothing_is_decoded(string message, params string[] arguments)
    {
        var run = await CommandRun.InProcessAsync(null, arguments);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
        Assert.Equal("", run.Output);
        Assert.Equal(2, run.ExitCode);
    }

    [Fact]
    public async Task An_empty_input_is_bad_usage()
    {
        var run = await CommandRun.InProcessAsync([], "decode");
        Assert.Equal("mqtt5: standard input: there are no bytes to decode\n", run.Error);
        Assert.Equal(2, run.ExitCode);
    }

    [Fact]
    public async Task The_help_of_every_verb_has_an_example_with_that_verb()
    {
        var verbs = await CommandRun.InProcessAsync(null, "[suggest:0]", "");

        foreach (var verb in verbs.Lines.Where(line => !line.StartsWith('-')))
        {
            var help = await CommandRun.InProcessAsync(null, verb, "--help");
            Assert.Equal(0, help.ExitCode);
            Assert.True(
                help.Lines.SkipWhile(line => !line.Contains("Example", StringComparison.Ordinal)).Any(line => line.Contains($"mqtt5 {verb} ", StringComparison.Ordinal) || line.EndsWith($"mqtt5 {verb}", StringComparison.Ordinal)),
                $"{verb} has no example:\n{help.Output}");
        }
    }

    [Fact]
    public async Task The_first_example_of_decode_works()
    {
        var help = await CommandRun.InProcessAsync(null, "decode", "--help");
        var example = help.Lines.Select(line => line.Trim()).First(line => line.StartsWith("mqtt5 decode ", StringComparison.Ordinal));
        var run = await CommandRun.InProcessAsync(null, example.Split(' ')[1..]);
        Assert.Equal("PUBLISH topic=\"a/b\" payload=\"hi\"\n", run.Output);
        Assert.Equal("", run.Error);
    }

    [Fact]
    public async Task Help_is_no_mistake()
    {
        var run = await CommandRun.InProcessAsync(null, "decode", "--help");
        Assert.Contains("--show-secrets", run.Output, StringComparison.Ordinal);
        Assert.Equal(0, run.ExitCode);
    }
}
