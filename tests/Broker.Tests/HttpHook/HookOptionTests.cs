using Microsoft.Extensions.DependencyInjection;
using Mqtt5.HttpHook;

namespace Mqtt5.BrokerTests.HttpHook;

// Which options of an HTTP hook are refused, and which brokers.
public sealed class HookOptionTests
{
    private static readonly Action<MqttHttpHookOptions>[] WrongOptions =
    [
        hook => hook.AuthenticationUrl = null,
        hook => hook.AuthenticationUrl = new Uri("/connect", UriKind.Relative),
        hook => hook.AuthenticationUrl = new Uri("ftp://127.0.0.1/"),
        hook => hook.AuthenticationUrl = new Uri("http://auth.example/"),
        hook => hook.AuthorizationUrl = new Uri("http://auth.example/"),
        hook => hook.AuthenticationUrl = new Uri("https://me:s3cret@auth.example/"),
        hook => hook.Headers["no header"] = "s3cret",
        hook => hook.Headers["Authorization"] = "Bearer s3cret\nX: y",
        hook => hook.Headers["Content-Type"] = "s3cret",
        hook => hook.TimeLimit = TimeSpan.Zero,
        hook => hook.TimeLimit = TimeSpan.FromMinutes(1.1),
        hook => hook.AllowedCacheTime = TimeSpan.FromSeconds(-1),
        hook => hook.DeniedCacheTime = TimeSpan.FromDays(1.1),
        hook => hook.CachedAnswers = 0,
        hook => hook.MaximumAnswerBytes = 0,
        hook => hook.MaximumConcurrentRequests = 1_025,
    ];

    [Fact]
    public void Options_out_of_range_are_refused_without_a_secret_in_the_message() =>
        Assert.All(WrongOptions, spoil =>
        {
            var failure = Assert.ThrowsAny<ArgumentException>(() => new ServiceCollection().AddMqttHttpHook(hook =>
            {
                hook.AuthenticationUrl = new Uri("https://auth.example/connect");
                spoil(hook);
            }));
            Assert.DoesNotContain("s3cret", failure.ToString(), StringComparison.Ordinal);
        });

    [Fact]
    public void The_broker_has_to_fit_the_hook()
    {
        using var none = new ServiceCollection().BuildServiceProvider();
        Assert.Throws<InvalidOperationException>(() => new MqttBrokerOptions().UseHttpHook(none));
        var services = new ServiceCollection();
        services.AddMqttHttpHook(hook =>
        {
            hook.AuthenticationUrl = new Uri("http://auth.example/connect");
            hook.AuthorizationUrl = new Uri("https+http://auth/topic");
            hook.AllowUnencrypted = true;
        });
        using var some = services.BuildServiceProvider();
        var late = new MqttBrokerOptions();
        late.Limits.ConnectTimeout = TimeSpan.FromSeconds(5);
        Assert.Throws<InvalidOperationException>(() => late.UseHttpHook(some));
        Assert.Throws<InvalidOperationException>(() => new MqttBrokerOptions { CallbacksMayBlock = false }.UseHttpHook(some));
        Assert.NotNull(new MqttBrokerOptions().UseHttpHook(some).Authenticator);
    }
}
