namespace Mqtt5.BrokerTests;

// What the standard says of session state and of the Will, over a socket.
public sealed class ClausesSession
{
    [Fact]
    [Clause("MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.2-23", "MQTT-3.2.2-3", "MQTT-3.1.3-2")]
    public Task Clean_Start_0_makes_a_session_and_goes_on_with_it() => Script.RunAsync("""
        c > CONNECT clientid="c" props{SessionExpiryInterval=100}
        c <* CONNACK rc=Success
        c subscribes "a" qos=1
        c leaves
        p joins
        p > PUBLISH qos=1 topic="a" id=1 payload="kept"
        p < PUBACK id=1
        time 99
        c resumes
        c < PUBLISH qos=1 topic="a" id=1 payload="kept"
        """);

    [Fact]
    [Clause("MQTT-3.1.2-4", "MQTT-3.2.2-2", "MQTT-3.1.4-4")]
    public Task Clean_Start_1_throws_the_session_away() => Script.RunAsync("""
        p joins
        c > CONNECT clientid="c" props{SessionExpiryInterval=100}
        c <* CONNACK rc=Success
        c subscribes "a" qos=1
        c leaves
        p > PUBLISH qos=1 topic="a" id=1
        p < PUBACK id=1
        c > CONNECT clean=1 clientid="c" props{SessionExpiryInterval=100}
        c <* CONNACK rc=Success
        p > PUBLISH qos=1 topic="a" id=2
        p < PUBACK id=2 rc=NoMatchingSubscribers
        c quiet
        """);

    [Fact]
    [Clause("MQTT-4.1.0-2", "MQTT-3.1.2-23")]
    public Task A_session_ends_when_its_expiry_has_run_out() => Script.RunAsync("""
        c joins props{SessionExpiryInterval=10}
        c leaves
        time 9
        sessions 1
        time 2
        sessions 0
        c > CONNECT clientid="c"
        c <* CONNACK rc=Success
        """);

    [Fact]
    [Clause("MQTT-4.1.0-2")]
    public Task Without_an_expiry_the_session_ends_with_its_connection() => Script.RunAsync("""
        c joins
        c leaves
        sessions 0
        """);

    [Fact]
    [Clause("MQTT-3.1.2-23", "MQTT-4.1.0-2")]
    public Task DISCONNECT_changes_the_expiry() => Script.RunAsync("""
        c joins props{SessionExpiryInterval=10}
        c > DISCONNECT rc=Success props{SessionExpiryInterval=50}
        c closed
        d joins props{SessionExpiryInterval=10}
        d > DISCONNECT rc=Success props{SessionExpiryInterval=0}
        d closed
        sessions 1
        time 49
        sessions 1
        c resumes props{SessionExpiryInterval=10}
        """);

    [Fact]
    [Clause("MQTT-4.13.1-1")]
    public Task A_session_without_expiry_cannot_be_given_one_by_DISCONNECT() => Script.RunAsync("""
        c joins
        c > DISCONNECT rc=Success props{SessionExpiryInterval=50}
        c <* DISCONNECT rc=ProtocolError
        c closed
        sessions 0
        """);

    [Theory]
    [Clause("MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.1.2-14", "MQTT-3.1.3-10")]
    [InlineData("c leaves")]
    [InlineData("c > DISCONNECT rc=DisconnectWithWillMessage")]
    [InlineData("c >> C1 00")]
    public Task A_Will_is_published_once_with_all_that_belongs_to_it(string end) => Script.RunAsync($$"""
        w joins
        w subscribes "will/#" qos=2
        c joins will[qos=1 topic="will/c" props{PayloadFormatIndicator=1, MessageExpiryInterval=60, ContentType="t", ResponseTopic="r", CorrelationData=x'01', UserProperty=("b","2"), UserProperty=("a","1"), UserProperty=("b","1")} payload="gone"]
        {{end}}
        w < PUBLISH qos=1 topic="will/c" id=1 props{PayloadFormatIndicator=1, MessageExpiryInterval=60, ContentType="t", ResponseTopic="r", CorrelationData=x'01', UserProperty=("b","2"), UserProperty=("a","1"), UserProperty=("b","1")} payload="gone"
        w > PUBACK id=1
        w quiet
        v joins
        v subscribes "will/#"
        v quiet
        sessions 2
        """);

    [Fact]
    [Clause("MQTT-3.1.2-15")]
    public Task A_Will_with_Will_Retain_is_retained() => Script.RunAsync("""
        w joins
        w subscribes "will"
        c joins will[retain=1 topic="will" payload="gone"]
        c leaves
        w < PUBLISH topic="will" payload="gone"
        v joins
        v subscribes "will"
        v < PUBLISH retain=1 topic="will" payload="gone"
        """);

    [Fact]
    [Clause("MQTT-3.14.4-3", "MQTT-3.1.2-8", "MQTT-3.1.2-10")]
    public Task DISCONNECT_with_Success_drops_the_Will() => Script.RunAsync("""
        w joins
        w subscribes "#"
        c joins props{SessionExpiryInterval=10} will[topic="will"]
        c > DISCONNECT
        c closed
        time 20
        w > PUBLISH topic="mark"
        w < PUBLISH topic="mark"
        """);

    [Fact]
    [Clause("MQTT-3.1.2-8", "MQTT-3.1.3-9")]
    public Task A_delayed_Will_is_cancelled_by_a_new_connection_of_the_session() => Script.RunAsync("""
        w joins
        w subscribes "#"
        c joins props{SessionExpiryInterval=100} will[topic="will" props{WillDelayInterval=10}]
        c leaves
        time 9
        c resumes props{SessionExpiryInterval=100}
        time 50
        w > PUBLISH topic="mark"
        w < PUBLISH topic="mark"
        """);

    [Theory]
    [Clause("MQTT-3.1.2-8")]
    [InlineData(100, 10, 10)]
    [InlineData(5, 10, 5)]
    public Task A_delayed_Will_comes_after_its_delay_or_with_the_end_of_the_session(int expiry, int delay, int due) => Script.RunAsync($$"""
        w joins
        w subscribes "#"
        c joins props{SessionExpiryInterval={{expiry}}} will[topic="will" props{WillDelayInterval={{delay}}}]
        c leaves
        time {{due - 1}}
        w quiet
        time 2
        w < PUBLISH topic="will"
        time 200
        w quiet
        """);

    [Fact]
    [Clause("MQTT-3.1.3-9", "MQTT-3.1.2-8")]
    public Task Clean_Start_ends_the_session_and_so_sends_its_delayed_Will() => Script.RunAsync("""
        w joins
        w subscribes "will"
        c joins props{SessionExpiryInterval=100} will[topic="will" props{WillDelayInterval=50}]
        c leaves
        w quiet
        c joins
        w < PUBLISH topic="will"
        """);

    [Fact]
    [Clause("MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT-4.3.3-6")]
    public Task A_resumed_session_sends_again_what_was_not_acknowledged_and_nothing_else() => Script.RunAsync("""
        p joins
        c joins props{SessionExpiryInterval=100}
        c subscribes "a" qos=2
        p > PUBLISH qos=1 topic="a" id=1 payload="1"
        p > PUBLISH qos=2 topic="a" id=2 payload="2"
        p > PUBLISH qos=2 topic="a" id=3 payload="3"
        p > PUBLISH qos=1 topic="a" id=4 payload="4"
        p > PUBREL id=2
        p > PUBREL id=3
        c < PUBLISH qos=1 topic="a" id=1 payload="1"
        c < PUBLISH qos=2 topic="a" id=2 payload="2"
        c < PUBLISH qos=2 topic="a" id=3 payload="3"
        c < PUBLISH qos=1 topic="a" id=4 payload="4"
        c > PUBREC id=3
        c < PUBREL id=3
        c > PUBACK id=4
        time 60
        c quiet
        c leaves
        c resumes props{SessionExpiryInterval=100}
        c < PUBREL id=3
        c < PUBLISH dup=1 qos=1 topic="a" id=1 payload="1"
        c < PUBLISH dup=1 qos=2 topic="a" id=2 payload="2"
        c quiet
        c leaves
        c resumes props{SessionExpiryInterval=100}
        c < PUBREL id=3
        c < PUBLISH dup=1 qos=1 topic="a" id=1 payload="1"
        c < PUBLISH dup=1 qos=2 topic="a" id=2 payload="2"
        c quiet
        """);

    [Fact]
    [Clause("MQTT-4.4.0-2", "MQTT-4.9.0-2")]
    public Task An_acknowledgement_of_failure_ends_the_exchange() => Script.RunAsync("""
        p joins
        c joins props{SessionExpiryInterval=100}
        c subscribes "a" qos=2
        p > PUBLISH qos=1 topic="a" id=1
        p > PUBLISH qos=2 topic="a" id=2
        c < PUBLISH qos=1 topic="a" id=1
        c < PUBLISH qos=2 topic="a" id=2
        c > PUBACK id=1 rc=UnspecifiedError
        c > PUBREC id=2 rc=QuotaExceeded
        c quiet
        c leaves
        c resumes
        c quiet
        """);

    [Fact]
    [Clause("MQTT-4.5.0-1")]
    public Task What_was_taken_goes_to_the_session_of_everyone_who_subscribed() => Script.RunAsync("""
        p joins
        c joins props{SessionExpiryInterval=100}
        c subscribes "a" qos=2
        d joins props{SessionExpiryInterval=100}
        d subscribes "#" qos=1
        e joins
        e subscribes "+" qos=2
        c leaves
        d leaves
        p > PUBLISH qos=2 topic="a" id=1 payload="1"
        p < PUBREC id=1
        e < PUBLISH qos=2 topic="a" id=1 payload="1"
        c resumes
        c < PUBLISH qos=2 topic="a" id=1 payload="1"
        d resumes
        d < PUBLISH qos=1 topic="a" id=1 payload="1"
        """);
}
