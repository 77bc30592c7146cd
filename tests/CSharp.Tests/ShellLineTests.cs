using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class ShellLineTests
{
    [Fact]
    public void Keys_change_a_line_by_characters_as_people_see_them()
    {
        var line = new LineBuffer();
        line.Insert("pub a e\u0301👍🏽");
        line.Left();
        Assert.Equal("pub a e\u0301", line.BeforeCursor);
        line.DeleteLeft();
        Assert.Equal("pub a 👍🏽", line.Text);
        line.DeleteRight();
        Assert.Equal("pub a ", line.Text);
        line.WordLeft();
        Assert.Equal("pub ", line.BeforeCursor);
        line.DeleteWordLeft();
        Assert.Equal("a ", line.Text);
        line.WordRight();
        Assert.Equal("a", line.BeforeCursor);
        line.DeleteToBegin();
        line.Insert("xyz");
        line.Home();
        line.Right();
        line.DeleteToEnd();
        Assert.Equal("x", line.Text);
    }

    [Fact]
    public void Keys_at_the_ends_of_a_line_do_nothing()
    {
        var line = new LineBuffer();
        line.Left();
        line.Right();
        line.DeleteLeft();
        line.DeleteRight();
        line.DeleteWordLeft();
        line.WordRight();
        Assert.Equal(("", 0), (line.Text, line.Cursor));
    }

    [Theory]
    [InlineData("short", 5, 20, "short", 5)]
    [InlineData("0123456789", 10, 6, "56789", 5)]
    [InlineData("0123456789", 0, 6, "01234", 0)]
    [InlineData("0123456789", 7, 6, "23456", 5)]
    [InlineData("日本語", 3, 6, "本語", 4)]
    [InlineData("日本語", 0, 6, "日本", 0)]
    public void A_long_line_shows_the_part_around_the_cursor(string line, int cursor, int columns, string shown, int column) =>
        Assert.Equal(new LineView(shown, column), LineView.Of(line, cursor, columns));

    [Fact]
    public void The_history_goes_back_and_forth_and_keeps_what_was_typed()
    {
        var history = new LineHistory();
        Assert.Null(history.Earlier("x"));
        history.Add("one");
        history.Add("two");
        history.Add("two");
        history.Add(" ");
        Assert.Equal("two", history.Earlier("draft"));
        Assert.Equal("one", history.Earlier("two"));
        Assert.Null(history.Earlier("one"));
        Assert.Equal("two", history.Later());
        Assert.Equal("draft", history.Later());
        Assert.Null(history.Later());
    }

    [Theory]
    [InlineData("connect mqtt://anna:s3cret@host", false)]
    [InlineData("pub a/b anna@example", true)]
    public void A_line_with_a_password_is_not_remembered(string line, bool isRemembered) =>
        Assert.Equal(isRemembered, ShellLine.MayBeRemembered(line));

    [Theory]
    [InlineData("", "connect disconnect sub unsub pub wait status help exit")]
    [InlineData("un", "unsub")]
    [InlineData("help w", "wait")]
    [InlineData("connect ", "mqtt://localhost:1883")]
    [InlineData("pub pl", "plant/1 plant/2")]
    [InlineData("pub plant/1 ", "0 1 2")]
    [InlineData("unsub ", "plant/#")]
    [InlineData("pub plant/1 1 pl", "")]
    public void Tab_knows_commands_topics_and_filters(string typed, string words) =>
        Assert.Equal(words, string.Join(' ', ShellCompletion.Of(typed, ["plant/1", "plant/2", "with space"], ["plant/#"], new Uri("mqtt://localhost:1883"))));

    [Fact]
    public void Topics_are_remembered_up_to_a_bound()
    {
        var topics = new SeenTopics();

        for (var number = 0; number < 2_000; number++)
        {
            topics.Add($"{number:0000}");
            topics.Add("1999");
        }

        Assert.Equal(1_000, topics.All().Count);
        Assert.Contains("1500", topics.All());
        Assert.DoesNotContain("0500", topics.All());
    }
}
